"""What a test can make happen: `{"do": NAME, …}` to one function, with the parameters' names checked.

Each function's keyword arguments are the action's parameters; omitted ones are chosen deterministically. `repeat` does
an action several times. The answer says what was done, with every id a test needs.
"""

import inspect
from typing import Any

from cin7_emarsys.sandbox.merchant import actions_people, actions_sales, actions_stock, day
from cin7_emarsys.sandbox.merchant.deal import Action, Deal, Result
from cin7_emarsys.sandbox.merchant.world import Merchant


class Actions:
    def __init__(self, merchant: Merchant) -> None:
        self.merchant = merchant
        self.deal = Deal(merchant)
        self.known: dict[str, Action] = {
            **actions_sales.ACTIONS,
            **actions_stock.ACTIONS,
            **actions_people.ACTIONS,
            "day": self._day,
        }

    def act(self, body: dict[str, Any]) -> Result:
        """One action, `repeat` times. Raises ValueError that names what is wrong and lists what is known."""
        given = {"source" if key == "from" else key: value for key, value in body.items()}
        name, repeat = given.pop("do", None), given.pop("repeat", None)
        action = self.known.get(name) if isinstance(name, str) else None
        if action is None:
            raise ValueError(f"unknown action {name!r}; known: {'; '.join(self.describe())}")
        known = _parameters(action)
        for key in given:
            if key not in known:
                raise ValueError(f"action {name!r} has no parameter {key!r}; it has: {', '.join(known) or 'none'}")
        if repeat is not None and (isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1):
            raise ValueError(f"'repeat' counts from 1, not {repeat!r}")
        self.merchant.open_journal()
        results = []
        try:
            for _ in range(repeat or 1):
                results.append(action(self.deal, **given))
                self.merchant.commit()
        except (TypeError, AttributeError, KeyError, IndexError) as problem:
            raise ValueError(f"action {name!r}: {problem}") from problem
        finally:
            self.merchant.commit()
        if repeat is None:
            return {"do": name, **results[0], "at": self.merchant.clock.now().isoformat(timespec="milliseconds")}
        return {"do": name, "repeat": repeat, "results": results}

    def describe(self) -> list[str]:
        """`order(sku, lines, …)` of each."""
        return [f"{name}({', '.join(_parameters(action))})" for name, action in sorted(self.known.items())]

    def _day(self, deal: Deal) -> Result:
        return {"events": day.script(self.act)}


def _parameters(action: Action) -> list[str]:
    return [p.name for p in inspect.signature(action).parameters.values() if p.kind is p.KEYWORD_ONLY]
