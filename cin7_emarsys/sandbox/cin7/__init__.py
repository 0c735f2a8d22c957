"""Cin7 Core's API v2 as the simulated merchant's tenant would answer it. Read-only.

- `app` – `create_app`, credentials, transport: routes, headers, limit, errors. `params` – query parameters.
- `routes` – one function per endpoint. `paging` – the list envelope, caps, and the faults of lists.
- `render_*`, `text` – values as JSON text. `switches` – behaviours of which accounts differ.
"""

from cin7_emarsys.sandbox.cin7.app import CREDENTIALS, create_app

__all__ = ["CREDENTIALS", "create_app"]
