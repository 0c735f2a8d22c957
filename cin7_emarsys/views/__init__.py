"""What a person sees in the terminal: waterfalls, statements, run summaries.

What belongs here: turning gathered facts into tables and sentences. What does not: gathering facts, or deciding things.
"""

from cin7_emarsys.views import delivered, exceptions, months, people, policy, runs, stock
from cin7_emarsys.views.text import as_json, complain, grid, moment, units

__all__ = [
    "as_json", "complain", "delivered", "exceptions", "grid", "moment", "months", "people", "policy", "runs", "stock",
    "units",
]  # fmt: skip
