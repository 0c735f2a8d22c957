"""Compares the two sides: what is read back from Emarsys, orphans, the balance of each flow, and the checks on them.

The comparisons themselves are models (``warehouse/models/reconciliation``).
"""
