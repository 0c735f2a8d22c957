"""Ratios measured side by side in one run; printed, never asserted. ``python -m benchmarks.<name> [--json]``."""
