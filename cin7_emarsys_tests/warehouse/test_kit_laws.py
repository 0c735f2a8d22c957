"""What must hold for any kits: what is promised of them can be shipped, and figures move the right way.

Several merchants of five products each live in one world, so that one build tries many cases: CUP and RUG are components, A
is a kit of both, N a kit of A and CUP, B a kit of CUP alone; orders wait for any of them.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cin7_emarsys_tests.conftest import law
from cin7_emarsys_tests.warehouse.test_laws import CHARGED, STOCK, exact
from cin7_emarsys_tests.warehouse.world import T0, World, line, order, part

SKUS = ("CUP", "RUG", "A", "N", "B")
ORDER = ("N", "A", "B", "CUP", "RUG")  # kits before what they are made of
PLACES = ("Main", "Shop")

shares = st.integers(1, 4).map(Decimal) | st.sampled_from([Decimal("0.5"), Decimal("2.1")])
group = st.fixed_dictionaries(
    {
        "stock": st.fixed_dictionaries({(sku, place): st.integers(0, 40) for sku in SKUS for place in PLACES}),
        "allocated": st.fixed_dictionaries({sku: st.integers(0, 6) for sku in SKUS}),
        "waiting": st.fixed_dictionaries({sku: st.integers(0, 5) for sku in SKUS}),
        "needs": st.tuples(shares, shares, st.integers(1, 3).map(Decimal), shares, shares),
        "makes": st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3)),
    }
)


def recipes(case: dict[str, Any]) -> dict[str, tuple[int, dict[str, Decimal]]]:
    cups, rugs, kits, beside, alone = case["needs"]
    makes = case["makes"]
    return {
        "A": (makes[0], {"CUP": cups, "RUG": rugs}),
        "N": (makes[1], {"A": kits, "CUP": beside}),
        "B": (makes[2], {"CUP": alone}),
    }


def merchants(cases: list[dict[str, Any]], places: tuple[str, ...], *, backwards: bool = False) -> World:
    world = World(availability={"sellable_locations": list(places)})
    products, rows = [], []
    for number, case in enumerate(cases):
        for sku in SKUS:
            row = {
                "ID": f"P-{sku}{number}",
                "SKU": f"{sku}{number}",
                "Type": "Stock",
                "Sellable": True,
                "Status": "Active",
            }
            if sku in recipes(case):
                makes, needs = recipes(case)[sku]
                parts = [part(f"{name}{number}", need) for name, need in needs.items()]  # type: ignore[arg-type]
                row |= {"AutoAssembly": True, "QuantityToProduce": makes, "BillOfMaterialsProducts": parts}
            products.append(row)
            rows += [
                {"sku": f"{sku}{number}", "on_hand": case["stock"][sku, place], "Location": place, "Bin": "X"}
                for place in PLACES
            ] + [{"sku": f"{sku}{number}", "Allocated": case["allocated"][sku], "Location": "Main"}]
    world.put("raw.products", *(reversed(products) if backwards else products))
    world.snapshot("n1", T0, rows[::-1] if backwards else rows)
    lines = [line(f"{sku}{number}", case["waiting"][sku]) for number, case in enumerate(cases) for sku in SKUS]
    head = {"OrderStatus": "AUTH_NO_ALLOC", "Status": "ORDERED"}
    world.sale("s1", head, Status="ORDERED", Order=order(*lines, status="AUTH_NO_ALLOC"))
    return world.build(*STOCK)


def promised(world: World) -> dict[str, int]:
    return dict(world.rows("mart.ats where valid_to is null", "sku", "ats"))


class Hands:
    """Someone who ships from one location: from the shelf, then by building run by run, all components or nothing."""

    def __init__(self, case: dict[str, Any], places: tuple[str, ...]) -> None:
        self.recipes = recipes(case)
        self.shelf = {sku: Decimal(sum(case["stock"][sku, place] for place in places)) for sku in SKUS}

    def take(self, sku: str, units: Decimal) -> bool:
        while self.shelf[sku] < units:
            before = dict(self.shelf)
            if sku not in self.recipes:
                return False
            makes, needs = self.recipes[sku]
            if not all(self.take(name, need) for name, need in needs.items()):
                self.shelf = before
                return False
            self.shelf[sku] += makes
        self.shelf[sku] -= units
        return True


@law(2)
@given(st.lists(group, min_size=6, max_size=6))
def test_what_is_promised_of_a_kit_can_be_shipped_after_all_orders(cases: list[dict[str, Any]]) -> None:
    """From one location. Where the orders can all be served, also all that could be shipped is promised."""
    figures = promised(merchants(cases, ("Main",)))
    for number, case in enumerate(cases):
        for sku in SKUS:
            hands = Hands(case, ("Main",))
            served = all(hands.take(name, Decimal(case["allocated"][name] + case["waiting"][name])) for name in ORDER)
            units = 0
            while hands.take(sku, Decimal(1)):
                units += 1
            ours = figures[f"{sku}{number}"]
            assert not served or ours <= units, (number, sku, ours, units)
            whole_runs = all(makes == 1 for makes, _ in hands.recipes.values())
            if served and whole_runs and sku in ("CUP", "RUG", "A", "B"):
                assert ours == units, (number, sku, ours, units)


@law(2)
@given(st.lists(group, min_size=3, max_size=3))
def test_a_kit_never_exceeds_what_any_component_allows(cases: list[dict[str, Any]]) -> None:
    """In two locations: the free units of each component bound the runs, and the terms add up. Each merchant is there three
    times: as it is, with more on hand, and with more allocated; the order of rows and products changes nothing.
    """
    more = [case | {"stock": case["stock"] | {("CUP", "Shop"): case["stock"]["CUP", "Shop"] + 3}} for case in cases]
    less = [case | {"allocated": case["allocated"] | {"RUG": case["allocated"]["RUG"] + 2}} for case in cases]
    world = merchants([*cases, *more, *less], PLACES)
    bounds = "mart.kit_builds join mart.kit_components using (kit_id, location_key) where is_direct"
    runs = world.rows(bounds, "runs", "allows")
    assert runs and all(built <= allows for built, allows in runs)
    waterfalls = exact(world)
    for row in waterfalls.values():
        charged = sum((row[f"charged_{term}"] for term in CHARGED), row["charged_fraction"])
        assert row["on_hand"] + row["shortfall"] + row["kit_build"] - charged == row["ats"]
    free = dict(world.rows("mart.component_stock where kit_id = '' group by component_id", "component_id", "sum(free)"))
    figures = {sku: int(row["ats"]) for sku, row in waterfalls.items()}
    for number in range(3 * len(cases)):
        for sku in ("CUP", "RUG"):  # what components give is what is promised of them, but for parts of a unit
            assert math.floor(free[f"p-{sku.lower()}{number}"]) == figures[f"{sku}{number}"]
    for number in range(len(cases)):
        for sku in SKUS:
            assert figures[f"{sku}{number}"] <= figures[f"{sku}{number + len(cases)}"]
            assert figures[f"{sku}{number}"] >= figures[f"{sku}{number + 2 * len(cases)}"]
    backwards = promised(merchants(cases, PLACES, backwards=True))
    assert backwards == {sku: figures[sku] for sku in backwards}
