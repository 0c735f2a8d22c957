"""The Engagement Cloud edition of the simulated account: other paths and other JSON over the same state.

- `app` – the service put together, mounted at `/ec`; `gate` – edition, lost prefixes, token; `answers` – errors, bodies.
- `contacts`, `product_items`, `transactions`, `engagement_events` – the vendor's calls.

What is stored, the account's switches and the judge are those of `sandbox.emarsys`. Written from the vendor's
descriptions only; where these are silent a switch says what the account does. Not served, because no description
gives their bodies: writing contact fields, business areas, accounts.
"""

from cin7_emarsys.sandbox.engagement_cloud.answers import PREFIX
from cin7_emarsys.sandbox.engagement_cloud.app import create_app

__all__ = ["PREFIX", "create_app"]
