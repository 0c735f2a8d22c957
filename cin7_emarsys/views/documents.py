"""The documents that are made from the program: the data dictionary, who owns which field. ``make docs`` writes them.

What belongs here: their text. What does not: what they describe.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cin7_emarsys.merchant import ContactField, Contacts
from cin7_emarsys.warehouse.factory import models

_SCHEMAS = {
    "staging": "Names and types of ours, one row for each thing of Cin7.",
    "mart": "What may be promised, what customers are worth, what Emarsys should hold.",
    "reconciliation": "Both sides compared.",
    "operations": "What a person must look at.",
}
_KINDS = {
    "history": "Kept as spans: a row is open while `valid_to` is null.",
    "append": "Rows are added, and never touched again.",
    "view": "A view.",
}
# The fields of a contact that stand in no field map, because nobody may map them.
_FIXED = (
    ("email (3)", "the key of a contact", "text", "sales", "Cin7 Core", "in Cin7; a changed address is a new contact"),
    (
        "opt-in (31)",
        "consent",
        "choice",
        "marketing",
        "SAP Emarsys",
        "the person, at Emarsys; yes is never written by us",
    ),
)


def data_dictionary() -> str:
    """Every table that the models make, with its grain, key, meaning and columns."""
    parts = [
        "# Data dictionary",
        "Made from the headers of the models by `make docs`; change them there. Times are UTC by Cin7's clock, money is "
        "without tax in the currency of the books, unless a column says otherwise. `raw` holds Cin7's records under Cin7's "
        "own names, as received; `delivery` is the ledger as tables.",
    ]
    for schema, meaning in _SCHEMAS.items():
        parts += [f"## {schema}", meaning]
        for name, model in sorted(models().items()):
            if model.schema != schema:
                continue
            key = ", ".join(f"`{column}`" for column in model.key)
            kept = _KINDS.get(model.materialize, "")
            head = f"{model.meaning} {_sentence(model.grain)} Key: {key}. {kept}"
            rows = (
                f"| `{column}` | {kind} | {_cell(model.columns.get(column, _SPAN))} |"
                for column, kind in _of(model.table_columns)
            )
            parts += [f"### {name}", head.strip(), "\n".join(("| Column | Type | Meaning |", "|---|---|---|", *rows))]
    return "\n\n".join(parts) + "\n"


_SPAN = "Span in which the row held (UTC)."


def _of(columns: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, kind if len(kind) < 40 else f"{kind.partition('(')[0]} …") for name, kind in columns.items()]


def field_ownership() -> str:
    """Who owns each field of a contact: the default field map, and the two fields that cannot be mapped."""
    rows = [*(_ours(row) for row in Contacts().field_map), *_FIXED]
    return (
        "\n\n".join(
            (
                "# Who owns which field at Emarsys",
                "Made from the default field map by `make docs`; a merchant's own stands in `[[contacts.field_map]]` of "
                "merchant.toml. One writer for each field: what is changed by anybody else is *drift*, which the desk shows "
                "and nobody fights over. A field that is not listed here is Emarsys' own, and is neither read nor written.",
                "\n".join(
                    (
                        "| Field | Holds | Type | Owner | System of record | Who may change it, and where |",
                        "|---|---|---|---|---|---|",
                        *(f"| `{name}` | {' | '.join(rest)} |" for name, *rest in rows),
                    )
                ),
            )
        )
        + "\n"
    )


_MASTER = ("first_name", "last_name", "customer_id", "external_id")


def _ours(row: ContactField) -> tuple[str, ...]:
    master = row.attribute in _MASTER
    who = (
        "sales, in Cin7; what is blank there is left as it is" if master else "nobody: worked out from Cin7's documents"
    )
    return row.string_id, row.attribute.replace("_", " "), row.type, row.owner, row.system_of_record, who


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "data-dictionary.md": data_dictionary,
    "field-ownership.md": field_ownership,
}


def main(folder: Path) -> None:
    """Writes all of them."""
    for name, document in DOCUMENTS.items():
        (folder / name).write_text(document())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
