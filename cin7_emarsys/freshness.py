"""How old an asset may get before people are told: `[alerts]` of the merchant's rules, as freshness policies of Dagster.

What belongs here: one policy for each pace. What does not: which asset keeps which pace (the assets of each room).
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache

from dagster import FreshnessPolicy

from cin7_emarsys.merchant import Alerts, SettingsError
from cin7_emarsys.settings import load_policy


def stock() -> FreshnessPolicy:
    """What the stock job reads."""
    return _within(minutes=_alerts().stock_minutes)


def orders() -> FreshnessPolicy:
    """What the orders job reads first."""
    return _within(minutes=_alerts().orders_minutes)


def daytime() -> FreshnessPolicy:
    """What these two and their neighbours read, build and send after that."""
    return _within(minutes=2 * max(_alerts().stock_minutes, _alerts().orders_minutes))


def nightly() -> FreshnessPolicy:
    """What the nightly job alone does."""
    return _within(hours=_alerts().nightly_hours)


def _within(**span: float) -> FreshnessPolicy:
    return FreshnessPolicy.time_window(fail_window=timedelta(**span))


@cache
def _alerts() -> Alerts:
    try:
        return load_policy().alerts
    except SettingsError:  # `doctor` says what is wrong
        return Alerts()
