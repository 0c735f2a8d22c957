"""Any sequence of stock, faults, policies, collections and releases: what may never happen, and where it all ends.

The models are built by the project's own factory; what is expected is kept beside them in a few sets and numbers.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from cin7_emarsys.warehouse import factory
from cin7_emarsys_tests.warehouse.test_availability import Shop, at
from cin7_emarsys_tests.warehouse.world import merchant

SKUS = "ABCDE"
RULES: dict[str, Any] = {"restock_threshold": 2, "min_flips": 2, "max_flip_share": 0.1, "confirmations": 2}
# Orders and lists stay as they are, so only these are built at each step.
MODELS = [
    *("staging.tenant", "staging.products", "staging.stock_places", "staging.snapshot"),
    *("mart.availability", "mart.catalogue", "mart.stock_states", "mart.second_looks"),
    *(name for name in factory.needed_for("mart.second_look_wanted") if name.startswith("mart.")),
]
numbers = st.integers(0, 3)
stocks = st.fixed_dictionaries(dict.fromkeys(SKUS, numbers))


class States(RuleBasedStateMachine):
    """A merchant with five SKUs in two locations; Main is for sale, the Shop by policy."""

    @initialize(main=stocks, shop=stocks)
    def open(self, main: dict[str, int], shop: dict[str, int]) -> None:
        self.world = Shop(*SKUS, availability=RULES).build()
        self.main, self.shop = dict(main), dict(shop)
        self.streak = dict.fromkeys(SKUS, 0)  # trusted snapshots in a row with enough units
        self.released: set[str] = set()
        self.step()

    @property
    def places(self) -> tuple[dict[str, int], ...]:
        sells_shop = "Shop" in self.world.merchant.availability.sellable_locations
        return (self.main, self.shop) if sells_shop else (self.main,)

    def free(self, sku: str) -> int:
        return sum(place[sku] for place in self.places)

    def step(
        self,
        trusted: bool = True,
        doubtful: str | None = None,
        gone: str | None = None,
        again: bool = False,
        **more: Any,
    ) -> None:
        """One run of the stock job: a snapshot, the models, the product file."""
        world, before = self.world, self.file()
        collected = dict(world.rows("mart.published", "item", "available")) if before else {}
        name = f"n{world.minute}"
        taken = at(world.minute)
        rows = [
            {"sku": sku, "on_hand": units, "Location": where}
            for where, place in (("Main", self.main), ("Shop", self.shop))
            for sku, units in place.items()
            if sku != gone
        ]
        if trusted:
            world.clear("raw.vanished")
            if gone:
                world.vanish(gone)
            if doubtful:
                row = {"snapshot_id": name, "product_id": f"p-{doubtful.lower()}", "sku": doubtful, "reason": "double"}
                world.put("raw.snapshot_untrusted_skus", row)
            world.snapshot(name, taken, rows, **more)
        else:
            world.put("raw.snapshots", {"snapshot_id": name, "taken_at": taken, "finished_at": taken, "trusted": False})
        world.minute += 15
        if trusted:
            world.build(*MODELS)
        else:  # that run ends here; another job builds, which does not look
            factory.build(world.connection, world.merchant, MODELS)
        if again:  # building again must not count again
            world.build(*MODELS)
        if trusted:
            for sku in SKUS:
                units = 0 if sku == gone else self.free(sku)
                if sku == doubtful:
                    continue
                if units < RULES["restock_threshold"]:
                    self.streak[sku] = 0
                elif not more.get("unallocated_pending"):
                    self.streak[sku] += 1
        self.gone, self.doubtful = gone, doubtful
        self.check(before, collected, trusted, gone)
        world.publish()

    def file(self) -> dict[str, bool]:
        return dict(self.world.rows("mart.catalogue", "item", "available"))

    def check(self, before: dict[str, bool], collected: dict[str, bool], trusted: bool, gone: str | None) -> None:
        now = self.file()
        risen = [sku for sku, shown in before.items() if not shown and now[sku]]
        if not trusted:
            assert now == before
        for sku in risen:
            assert self.streak[sku] >= RULES["confirmations"], sku
            assert self.free(sku) - self.world.sold.get(sku, 0) >= RULES["restock_threshold"], sku
            assert self.world.trouble is None, sku
        held = self.world.rows("mart.held_flips where kind = 'rise' and released_at is not null", "item")
        unseen = [sku for sku in risen if not collected.get(sku, True) and sku not in held]
        assert len(unseen) <= RULES["min_flips"], "too many at once, and nobody released them"
        for sku, shown in before.items():  # an honest fall is never late
            if trusted and shown and self.free(sku) == 0 and sku not in (self.doubtful, gone):
                assert not now[sku], sku

    @rule(main=stocks)
    def stock_moves(self, main: dict[str, int]) -> None:
        self.main.update(main)
        self.step()

    @rule(sku=st.sampled_from(SKUS), units=numbers)
    def one_moves(self, sku: str, units: int) -> None:
        self.main[sku] = units
        self.step()

    @rule(again=st.booleans())
    def nothing_moves(self, again: bool) -> None:
        self.step(again=again)

    @rule(main=stocks)
    def a_snapshot_is_not_trusted(self, main: dict[str, int]) -> None:
        self.step(trusted=False)

    @rule(sku=st.sampled_from(SKUS))
    def a_sku_is_not_trusted(self, sku: str) -> None:
        self.step(doubtful=sku)

    @rule(sku=st.sampled_from(SKUS))
    def rows_vanish(self, sku: str) -> None:
        shown = self.file()[sku]
        self.world.sold = {}
        trouble, self.world.trouble = self.world.trouble, "HTTP 503"
        self.step(gone=sku)
        assert not shown or self.file()[sku], "it fell without having been looked at"
        self.world.trouble = trouble

    @rule()
    def an_order_was_not_read(self) -> None:
        self.step(unallocated_pending=1)

    @rule(trouble=st.sampled_from([None, "HTTP 503"]), sku=st.sampled_from(SKUS), units=numbers)
    def the_next_looks(self, trouble: str | None, sku: str, units: int) -> None:
        self.world.trouble, self.world.sold = trouble, {sku: units}

    @rule(shop=st.booleans())
    def the_policy_changes(self, shop: bool) -> None:
        places = ["Main", "Shop"] if shop else ["Main"]
        if places == self.world.merchant.availability.sellable_locations:
            return
        self.world.merchant = merchant(availability={**RULES, "sellable_locations": places})
        # a streak that the old policy saw is not one of the new
        self.step()

    @rule()
    def emarsys_collects(self) -> None:
        self.world.publish("catalogue_collected")

    @precondition(lambda self: self.world.rows("mart.held_flips where released_at is null and ended_at is null"))
    @rule()
    def somebody_releases(self) -> None:
        self.release()
        self.step()

    def release(self) -> None:
        open_holds = "mart.held_flips where released_at is null and ended_at is null"
        for hold in set(self.world.rows(open_holds, "hold_id")):
            row = {"hold_id": hold, "released_at": at(self.world.minute), "reason": "counted", "who": "me"}
            self.world.put("operations.releases", row)

    def teardown(self) -> None:
        """After quiet – honest snapshots, looks that succeed, releases – the file says what is there."""
        if not hasattr(self, "world"):
            return
        self.world.trouble, self.world.sold = None, {}
        for _ in range(RULES["confirmations"] + 2):
            self.release()
            self.step()
            self.world.publish("catalogue_collected")
        shown = self.file()
        for sku in SKUS:
            if self.free(sku) >= RULES["restock_threshold"]:
                assert shown[sku], sku
            elif self.free(sku) == 0:
                assert not shown[sku], sku
        assert self.world.rows("mart.held_flips where ended_at is null and released_at is null") == []
        self.world.connection.close()


FEW = settings(max_examples=2, stateful_step_count=6, deadline=None, suppress_health_check=list(HealthCheck))


def test_what_may_never_happen_does_not_and_all_ends_well() -> None:
    run_state_machine_as_test(States, settings=FEW)


@pytest.mark.soak
def test_the_same_with_many_more_sequences() -> None:
    longer = settings(FEW, max_examples=200, stateful_step_count=25)
    run_state_machine_as_test(States, settings=longer)
