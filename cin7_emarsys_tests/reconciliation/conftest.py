"""The simulated account and the project of the Emarsys tests."""

from cin7_emarsys_tests.emarsys.conftest import account, empty_warehouse, vendor, work

__all__ = ["account", "empty_warehouse", "vendor", "work"]
