"""The tables of the ledger: transactional state, in SQLite by default, through SQLAlchemy Core.

What belongs here: tables, what the database itself refuses, opening the file. What does not: the moves (``ledger.py``) and
what a person does about a record (``repair.py``).

The database refuses to close a batch that does not conserve (sent = accepted + rejected + retryable + unknown), and to
intend a sales line or an event that is on its way, accepted or unknown.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    false,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateColumn

from cin7_emarsys import schema
from cin7_emarsys.wal import write_ahead

metadata = MetaData()

_NONE = text("0")
_ONCE = text("flow in ('sales', 'events') and (outcome is null or outcome in ('accepted', 'unknown'))")
_OPEN = text("closed_at is null")
TOUCHED = text("(resolution is not null or erased_at is not null)")  # changed after it had its fate: few ever are

batches = Table(
    "batches",
    metadata,
    Column("batch_id", Integer, primary_key=True),
    Column("flow", String, nullable=False),
    Column("run_id", String),
    Column("endpoint", String, nullable=False),
    Column("state", String, nullable=False),  # intent, connecting, closed
    Column("records", Integer, nullable=False),
    Column("accepted", Integer, nullable=False, server_default=_NONE),
    Column("rejected", Integer, nullable=False, server_default=_NONE),
    Column("retryable", Integer, nullable=False, server_default=_NONE),
    Column("unknown", Integer, nullable=False, server_default=_NONE),
    Column("created_at", DateTime, nullable=False),
    Column("connecting_at", DateTime),
    Column("closed_at", DateTime),
    Column("changed_seq", Integer, index=True),  # order of closing, or of a later change; the projection goes by it
    Column("status", Integer),
    Column("seconds", Float),
    Column("note", String),
    CheckConstraint("state <> 'closed' or records = accepted + rejected + retryable + unknown", name="conserves"),
    Index("batches_open", "flow", sqlite_where=text("state <> 'closed'")),
)

bodies = Table(
    "bodies",
    metadata,
    Column("batch_id", ForeignKey("batches.batch_id"), primary_key=True),
    Column("request", LargeBinary),
    Column("response", LargeBinary),
)

# `attempt`: it used up one of the attempts. `resolution`: how an unknown outcome became another one, later.
records = Table(
    "records",
    metadata,
    Column("record_id", Integer, primary_key=True),
    Column("batch_id", ForeignKey("batches.batch_id"), nullable=False, index=True),
    Column("flow", String, nullable=False),
    Column("key", String, nullable=False),
    Column("document", String),  # of a sales line
    Column("payload_hash", String),
    Column("payload", Text, nullable=False),
    Column("outcome", String),
    Column("code", String),
    Column("reason", String),
    Column("at", DateTime),
    Column("attempt", Boolean, nullable=False, server_default=false()),
    Column("resolution", String),  # accepted, not-applied, send-again, repeated
    Column("resolved_at", DateTime),
    Column("erased_at", DateTime),  # it was about a person who was erased: nothing of it is sent again
    Index("records_key", "flow", "key"),
    Index("records_document", "flow", "document"),
    Index("records_touched", "batch_id", sqlite_where=TOUCHED),
    Index("once", "flow", "key", unique=True, sqlite_where=_ONCE),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("record_id", ForeignKey("records.record_id"), primary_key=True),
    Column("flow", String, nullable=False),
    Column("key", String, nullable=False),
    Column("document", String),
    Column("payload_hash", String),
    Column("code", String),
    Column("reason", String),
    Column("attempts", Integer, nullable=False),
    Column("opened_at", DateTime, nullable=False),
    Column("closed_at", DateTime),
    Column("closed_by", String),  # accepted, retried, dropped, no longer wanted, replaced, erased
    Index("dead_letters_key", "flow", "key"),
    Index("dead_letters_open", "flow", "opened_at", sqlite_where=_OPEN),
)

# What an answer to a trigger last said: whether an e-mail hangs on the event (then Emarsys does not de-duplicate).
event_connections = Table(
    "event_connections",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("email", Boolean, nullable=False),
    Column("seen_at", DateTime, nullable=False),
)

publications = Table(
    "publications",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("run_id", String),
    Column("published_at", DateTime),
    Column("rows", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("url", String, nullable=False),
    Column("published", Boolean, nullable=False),
    Column("collected_at", DateTime),
)

publication_items = Table(
    "publication_items",
    metadata,
    Column("version", ForeignKey("publications.version"), primary_key=True),
    Column("item", String, primary_key=True),
    Column("payload", Text, nullable=False),
)

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

audit = Table(
    "audit",
    metadata,
    Column("entry", Integer, primary_key=True),
    Column("at", DateTime, nullable=False),
    Column("who", String, nullable=False),
    Column("command", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("details", Text),
)


def open_engine(url: str) -> Engine:
    """The engine of a ledger whose tables are there; they, the file and its folder are made if need be."""
    address = make_url(url)
    if address.drivername.startswith("sqlite") and address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, hide_parameters=True)  # an error text would show addresses and payloads
    if engine.dialect.name == "postgresql":  # said here only: naming it in the tables loads all of its dialects
        for index in (index for table in metadata.sorted_tables for index in table.indexes):
            index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
    if address.drivername.startswith("sqlite"):
        event.listen(engine, "connect", _durable)
    with engine.connect() as connection:  # flows start side by side: one of them makes the tables
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("begin immediate")
        take_turn(connection)
        _bring_up_to_date(connection)
        connection.commit()
    return engine


def take_turn(connection: Connection) -> None:
    """On Postgres, waits until no other transaction that took its turn is open; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"select pg_advisory_xact_lock({zlib.crc32(b'cin7-emarsys ledger')})")


def _bring_up_to_date(connection: Connection) -> None:
    """Makes tables, columns and indexes that are not there yet. Raises `SchemaUnknown` for a ledger of another version."""
    metadata.create_all(connection)
    found = connection.execute(select(schema_version.c.version)).scalar_one_or_none()
    if found is None:
        connection.execute(insert(schema_version).values(version=schema.LEDGER))
    else:
        schema.check("ledger", found, schema.LEDGER)
    looked_at = inspect(connection)
    for table in metadata.sorted_tables:
        there = {column["name"] for column in looked_at.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                kind = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"alter table {table.name} add column {kind}")
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def _durable(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("pragma busy_timeout = 60000")
    write_ahead(connection)
    cursor.execute("pragma synchronous = full")
    cursor.execute("pragma foreign_keys = on")
    cursor.close()
