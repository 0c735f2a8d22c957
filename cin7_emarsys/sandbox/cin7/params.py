"""Query parameters: names in any case, unknown ones ignored, bad values refused with 400."""

import re
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from cin7_emarsys.sandbox.merchant.ids import to_ms

_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,7})?)?)?(Z?)$")
MAX_LIMIT = 1000


class BadRequest(Exception):
    """Answered as 400 with the error array; `code` may differ from the HTTP status."""

    def __init__(self, message: str, code: int = 400) -> None:
        super().__init__(message)
        self.code = code


class Params:
    def __init__(self, query: bytes, *, reject_z: bool) -> None:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        self._values = {name.lower(): value for name, value in pairs}
        self._reject_z = reject_z

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._values

    def text(self, name: str) -> str | None:
        """The value, None when absent or blank."""
        return self._values.get(name.lower(), "").strip() or None

    def flag(self, name: str) -> bool:
        value = (self.text(name) or "false").lower()
        if value not in ("true", "false", "1", "0"):
            raise BadRequest(f"Parameter {name} is not a valid Boolean.")
        return value in ("true", "1")

    def count(self, name: str, default: int) -> int:
        value = self.text(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdigit() or int(value) < 1:
            raise BadRequest(f"Parameter {name} is not a valid positive Integer.")
        return int(value)

    def page(self) -> tuple[int, int]:
        """(Page, Limit): default 1 and 100, Limit cut at 1000 without a word."""
        return self.count("Page", 1), min(self.count("Limit", 100), MAX_LIMIT)

    def moment(self, name: str) -> int | None:
        """A date parameter in ms UTC. No offset is understood but `Z`, and that not everywhere."""
        value = self.text(name)
        if value is None:
            return None
        found = _DATE.match(value)
        if not found or (found.group(4) and self._reject_z):
            raise BadRequest(f"Parameter {name} has an incorrect date format. Use yyyy-MM-ddTHH:mm:ss.fff.")
        try:
            moment = datetime.fromisoformat(value.removesuffix("Z")[:26])
        except ValueError:
            raise BadRequest(f"Parameter {name} is not a valid date.") from None
        return to_ms(moment.replace(tzinfo=UTC))

    def rest(self) -> tuple[tuple[str, str], ...]:
        """Everything but paging, to remember a filtered list by."""
        return tuple(sorted((k, v) for k, v in self._values.items() if k not in ("page", "limit")))
