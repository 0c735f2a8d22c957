"""SAP Emarsys as a simulated HTTP service, and its judge. Written from the vendor's descriptions only.

- `app` – the service put together; `gate` – token, rate limit, headers; `auth`, `limits`, `envelope` – their parts.
- `account` – the state; `contacts`, `fields`, `countries`, `events`, `sales`, `catalogue`, `tactics` – its parts.
- `contact_writes`, `contact_reads`, `field_routes`, `event_routes`, `feed` – the vendor's calls.
- `switches` – what differs between accounts; `control` and `judge` – what tests use, under `/_sandbox/`.
"""

from cin7_emarsys.sandbox.emarsys.app import create_app
from cin7_emarsys.sandbox.emarsys.auth import CREDENTIALS

__all__ = ["CREDENTIALS", "create_app"]
