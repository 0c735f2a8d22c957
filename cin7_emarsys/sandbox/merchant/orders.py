"""All sales of the merchant by number: old ones made on demand from a source, later and changed ones kept.

`seeded_sales` is the source for the scales; `history` is another. Numbers below `source.count` belong to the source.
"""

from array import array
from collections.abc import Iterable
from typing import Protocol

from cin7_emarsys.sandbox.merchant.ids import Kind, guid, number_of
from cin7_emarsys.sandbox.merchant.model import Sale


class Source(Protocol):
    """Old sales: finished business that holds no stock."""

    count: int

    def updated(self) -> "array[int]": ...
    def created(self, n: int) -> int: ...
    def make(self, n: int) -> Sale: ...
    def brief(self, n: int) -> Sale:
        """Enough of it for its row in a list."""
        ...

    def listed(self, n: int) -> bool:
        """Is it in saleList? Stand-alone credit notes are not."""
        ...

    def credited(self, n: int) -> bool:
        """Is it in saleCreditNoteList?"""
        ...

    def find_number(self, number: str) -> int | None: ...


class SaleBook:
    def __init__(self, source: Source, seed: int) -> None:
        self.source, self.seed = source, seed
        self.updated = source.updated()
        self.kept: dict[int, Sale] = {}
        self.open_by_product: dict[int, set[int]] = {}
        self.version = 0

    def __len__(self) -> int:
        return len(self.updated)

    def get(self, n: int) -> Sale:
        return self.kept.get(n) or self.source.make(n)

    def brief(self, n: int) -> Sale:
        """A sale whose header is right; its lines may be summed up."""
        return self.kept.get(n) or self.source.brief(n)

    def listed(self, n: int) -> bool:
        sale = self.kept.get(n)
        return not sale.standalone_credit if sale else self.source.listed(n)

    def credited(self, n: int) -> bool:
        sale = self.kept.get(n)
        return bool(sale.credit_notes) if sale else self.source.credited(n)

    def created(self, n: int) -> int:
        sale = self.kept.get(n)
        return sale.created if sale else self.source.created(n)

    def keep(self, sale: Sale, now: int, open_lines: set[int]) -> None:
        """Stores a new or changed sale; `open_lines`: products that it still has to ship."""
        sale.modified = now
        self.kept[sale.n] = sale
        if sale.n == len(self.updated):
            self.updated.append(now)
        else:
            self.updated[sale.n] = now
        for product in {line.product for line in sale.lines}:
            numbers = self.open_by_product.setdefault(product, set())
            (numbers.add if product in open_lines else numbers.discard)(sale.n)
        self.version += 1

    def open_sales(self, products: Iterable[int]) -> list[Sale]:
        """Open sales that promise any of these products, oldest number first."""
        numbers: set[int] = set()
        for product in products:
            numbers |= self.open_by_product.get(product, set())
        return [self.kept[n] for n in sorted(numbers)]

    def next_number(self) -> tuple[int, str, str]:
        """(n, id, order number) for a new sale."""
        n = len(self.updated)
        return n, guid(Kind.SALE, n, self.seed), f"SO-{n + 1:05d}"

    def find(self, text: str) -> Sale:
        """By sale id or order number."""
        n = number_of(Kind.SALE, text, self.seed)
        if n is None or not 0 <= n < len(self):
            n = next((s.n for s in self.kept.values() if s.number == text), None)
        if n is None:
            n = self.source.find_number(text)
        if n is None:
            raise ValueError(f"unknown sale {text!r}")
        return self.get(n)
