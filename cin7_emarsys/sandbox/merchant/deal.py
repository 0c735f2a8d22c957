"""The merchant in the hands of the actions: lookups with deterministic defaults, and numbers from JSON."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from cin7_emarsys.sandbox.merchant.model import Product, Sale
from cin7_emarsys.sandbox.merchant.world import Merchant

Result = dict[str, Any]
Action = Callable[..., Result]


def number(value: Any, name: str) -> Decimal:
    """A JSON number as Decimal; 2.5 is exactly 2.5."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{name!r} is a number, not {value!r}")
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{name!r} is a number, not {value!r}") from None


class Deal:
    """Finds what an action is about, when the caller did not say."""

    def __init__(self, merchant: Merchant) -> None:
        self.m = merchant
        self._turn = 0
        self.spoken_for: set[int] = set()
        """Products that a default chose for a story of their own, such as a restock; other defaults pass them by."""

    def product(self, sku: str | None, least: int = 1) -> Product:
        """By SKU; else the next best seller of which at least so many can be sold."""
        if sku is not None:
            return self.m.catalogue.find(sku)
        popular = self.m.catalogue.popular
        for _ in range(len(popular)):
            self._turn += 1
            product = self.m.products[popular[self._turn % len(popular)]]
            if product.n in self.spoken_for or not product.sellable or product.status != "Active":
                continue
            if self.m.sellable_truth(product.n) >= least:
                return product
        raise ValueError(f"no product with {least} sellable units is left")

    def sale(self, sale: str | None, suits: Callable[[Sale], bool], what: str) -> Sale:
        """By sale id or order number; else the newest kept sale that suits."""
        if sale is not None:
            return self.m.sales.find(sale)
        for n in sorted(self.m.sales.kept, reverse=True):
            if suits(self.m.sales.kept[n]) and not self.m.sales.kept[n].voided:
                return self.m.sales.kept[n]
        for n in range(self.m.sales.source.count - 1, max(-1, self.m.sales.source.count - 500), -1):
            if n not in self.m.sales.kept and suits(found := self.m.sales.get(n)) and not found.voided:
                return found
        raise ValueError(f'there is no sale to {what}; say which with "sale_id"')

    def told(self, sale: Sale, **more: Any) -> Result:
        lines = [{"sku": self.m.products[x.product].sku, "quantity": float(x.quantity)} for x in sale.lines]
        return {
            "sale_id": sale.id,
            "order_number": sale.number,
            "order_status": sale.order_status,
            "customer_id": self.m.people.get(sale.customer).id,
            "email": sale.email,
            "sku": lines[0]["sku"] if lines else None,
            "lines": lines,
            "invoices": [i.number for i in sale.invoices],
            "credit_notes": [c.number for c in sale.credit_notes],
            **more,
        }
