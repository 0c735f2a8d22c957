"""A warehouse in memory for tests: rows of Cin7 in as dictionaries (what is not given is null), tables out.

Belongs here: filling source tables, building, reading results. Does not belong here: expectations.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, ClassVar, Self

import duckdb

from cin7_emarsys.merchant import Merchant
from cin7_emarsys.warehouse import factory
from cin7_emarsys.warehouse.connections import SCHEMAS

T0 = "2026-11-24 10:00:00"
Row = dict[str, Any]


def merchant(**sections: Any) -> Merchant:
    """A policy with one sellable location, `Main`, and what is given on top."""
    availability = {"sellable_locations": ["Main"], **sections.pop("availability", {})}
    return Merchant.model_validate({"availability": availability, **sections})


class World:
    """Source tables, empty at first; `put` adds rows, `build` runs models, `rows` reads a table or a query.

    A file of tests that reads a few models says so by `read_models` of a subclass: these and what they need are built.
    """

    read_models: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **policy: Any) -> None:
        self.merchant = merchant(**policy)
        self.trouble: str | None = None
        self.sold: dict[str, int] = {}
        self.built: set[str] = set()
        self.connection = duckdb.connect(":memory:", config={"threads": 1})  # tables of a few rows
        self.connection.execute("set TimeZone = 'UTC'")
        for schema in SCHEMAS:
            self.connection.execute(f"create schema {schema}")
        self.connection.execute((factory.FOLDER / "sources.sql").read_text())
        self.put("raw.me", {"Company": "Test", "Currency": "AUD", "TimeZone": "Australia/Sydney"})
        self.put("raw.watermarks", {"entity": "baseline", "watermark": "2026-11-01", "completed_at": T0})

    def put(self, table: str, *rows: Row) -> Self:
        columns = self.connection.execute(f"describe {table}").fetchall()
        unknown = {name for row in rows for name in row} - {name for name, *_ in columns}
        assert not unknown, f"{table} has no {unknown}"
        typed = ", ".join(f"'{name}': '{kind}'" for name, kind, *_ in columns)
        with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as file:
            file.writelines(json.dumps(row, default=str) + "\n" for row in rows)
            file.flush()
            read = f"read_json('{file.name}', format = 'newline_delimited', columns = {{{typed}}})"
            self.connection.execute(f"insert into {table} by name select * from {read}")
        return self

    def clear(self, *tables: str) -> Self:
        for table in tables:
            self.connection.execute(f"delete from {table}")
        return self

    def now(self, moment: str) -> Self:
        """Cin7's clock: something else was read at this moment."""
        return self.put("raw.watermarks", {"entity": "products", "completed_at": moment})

    def build(self, *names: str) -> Self:
        """These models, or all that are read. As in a job, who asks for a second look gets it before the others."""
        wanted = set(names or (factory.needed_for(*self.read_models) if self.read_models else factory.models()))
        self.built |= wanted
        if "mart.second_look_wanted" in wanted:
            before = factory.needed_for("mart.second_look_wanted")
            asked = {name for name in wanted if name.startswith("staging.") or name in before}
            factory.build(self.connection, self.merchant, asked)
            self.look()
            wanted -= asked
        factory.build(self.connection, self.merchant, wanted)
        return self

    def look(self) -> Self:
        """The second look: what the newest snapshot said less `sold`, by SKU, unless there was `trouble`."""
        asked = "(select product_id from mart.second_look_wanted)"
        self.connection.execute(f"delete from raw.second_looks where product_id in {asked}")
        self.connection.execute(f"delete from raw.second_look_rows where lower(ID) in {asked}")
        self.connection.execute(
            "insert into raw.second_looks select product_id, sku, snapshot_id, as_of, ? "
            "from mart.second_look_wanted, staging.tenant",
            [self.trouble],
        )
        self.connection.execute(
            "insert into raw.second_look_rows select ID, SKU, Location, Bin, Batch, ExpiryDate, "
            "OnHand - coalesce((?::json->>SKU)::decimal(18, 4), 0), Allocated "
            f"from raw.availability where lower(ID) in {asked}",
            [json.dumps(self.sold)],
        )
        return self

    def rows(self, source: str, *columns: str) -> list[Any]:
        """All columns as dictionaries, or the named ones as tuples (bare values when there is one); decimals short.

        A model that was not built is empty, which would pass for an answer: it may not be asked.
        """
        not_built = factory.models().keys() & set(re.findall(r"\w+\.\w+", source)) - self.built
        assert not not_built, f"{not_built} was not built"
        answer = self.connection.execute(f"select {', '.join(columns) or '*'} from {source} order by all")
        names = [column[0] for column in answer.description or []]
        found = [tuple(map(_short, row)) for row in answer.fetchall()]
        if not columns:
            return [dict(zip(names, row, strict=True)) for row in found]
        return [row[0] for row in found] if len(columns) == 1 else list(found)

    def one(self, source: str, *columns: str) -> Any:
        (row,) = self.rows(source, *columns)
        return row

    # Frequent things of a merchant, in few words.

    def product(self, sku: str, **more: Any) -> Self:
        row = {"ID": f"P-{sku}", "SKU": sku, "Name": f"The {sku}", "Type": "Stock", "Status": "Active"}
        return self.put("raw.products", row | {"Sellable": True, "PriceTier1": 10, "Category": "Things"} | more)

    def kit(self, sku: str, *parts: Row, **more: Any) -> Self:
        """A kit of these parts (see `part`)."""
        return self.product(sku, AutoAssembly=True, BillOfMaterialsProducts=list(parts), **more)

    def snapshot(self, name: str, taken_at: str, stock: Iterable[Row], **more: Any) -> Self:
        """One complete snapshot in place of the one before; each row of stock: sku, on_hand and what differs."""
        self.clear("raw.availability")
        row = {"snapshot_id": name, "taken_at": taken_at, "finished_at": taken_at, "headers_scanned_at": taken_at}
        self.put("raw.snapshots", row | {"unallocated_pending": 0, "trusted": True} | more)
        self.put("raw.availability", *(stock_row(name, **given) for given in stock))
        return self

    def sale(self, name: str, header: Row | None = None, **detail: Any) -> Self:
        """A sale with header and detail; the customer is `C-1` and the e-mail `ana@example.com` unless given."""
        common = {"Status": "COMPLETED", "CustomerID": "C-1", "Customer": "Ana", "CustomerCurrency": "AUD"}
        common |= {"BaseCurrency": "AUD"}
        shared = {key: value for key, value in detail.items() if key in common}
        head = {"SaleID": name, "OrderNumber": f"SO-{name}", "Updated": T0, "OrderStatus": "AUTHORISED"}
        self.put("raw.sale_headers", head | common | {"OrderDate": "2026-11-20"} | shared | (header or {}))
        body: Row = {"ID": name, "Email": "Ana@Example.com ", "SaleOrderDate": "2026-11-20", "Location": "Main"}
        body |= {"_header_updated": T0, "TaxCalculation": "Exclusive", "CurrencyRate": 1, "Type": "Simple Sale"}
        return self.put("raw.sales", common | body | detail)


def stock_row(snapshot: str, sku: str, on_hand: float = 0, **more: Any) -> Row:
    allocated = more.pop("Allocated", 0)
    row = {"snapshot_id": snapshot, "ID": f"P-{sku}", "SKU": sku, "Location": "Main", "OnHand": on_hand}
    return row | {"Allocated": allocated, "Available": Decimal(str(on_hand)) - Decimal(str(allocated))} | more


def part(sku: str, quantity: float = 1, **more: Any) -> Row:
    """A component of a kit's bill."""
    return {"ComponentProductID": f"P-{sku}", "ProductCode": sku, "Quantity": quantity} | more


def line(sku: str, quantity: float, price: float = 10, **more: Any) -> Row:
    return {"ProductID": f"P-{sku}", "SKU": sku, "Name": f"The {sku}", "Quantity": quantity, "Price": price} | more


def invoice(name: str, *lines: Row, **more: Any) -> Row:
    row = {"TaskID": name, "InvoiceNumber": f"INV-{name}", "Status": "PAID", "InvoiceDate": "2026-11-21"}
    return row | {"Lines": list(lines), "AdditionalCharges": []} | more


def credit_note(name: str, *lines: Row, **more: Any) -> Row:
    row = {"TaskID": name, "CreditNoteNumber": f"CR-{name}", "Status": "AUTHORISED", "CreditNoteDate": "2026-11-23"}
    return row | {"Lines": list(lines), "AdditionalCharges": []} | more


def order(*lines: Row, status: str = "AUTHORISED") -> Row:
    return {"Status": status, "Lines": list(lines)}


def _short(value: Any) -> Any:
    """Decimals as int or float, so that expectations are easy to read (their exactness is tested by the laws)."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return value
