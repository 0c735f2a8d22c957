"""Sending batches: written down, sent, judged record by record, written down again; split when refused as a whole.

What belongs here: intent, call and outcome of a batch, the search for a record that spoils its batch, the repeat of lost
races. What does not: what is sent (the flows), the run of a flow (``delivery.py``), and the tables (``ledger.py``).
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from cin7_emarsys import crash, progress
from cin7_emarsys.emarsys import answers
from cin7_emarsys.emarsys.answers import Verdict
from cin7_emarsys.emarsys.client import Connecting, Emarsys
from cin7_emarsys.emarsys.ledger import Ceiling, Intended, TakenOver
from cin7_emarsys.emarsys.retry import unbroken
from cin7_emarsys.transport import AuthFailed, Permanent, PermissionMissing, RefusedBeforeSend, TransportError

if TYPE_CHECKING:
    from cin7_emarsys.emarsys.delivery import Delivery

# Refusals of a whole batch that no splitting can cure: the account, not a record, is at fault.
_ACCOUNT_FAULTS = ("1009", "1010", "2004", "2006", "2013", "2020", "5001", "5004", "5005")
_AT_EMARSYS = "2001"  # a failure of Emarsys' own, told as 400
# Refusals that name a value: a record that is refused alone with one of these is at fault, whatever the others do.
_RECORD_FAULTS = ("2005", "2007", "5008", "5009", "5010", "5011")
# Only these say that the content is at fault; another 4xx (an unknown address or merchant) says nothing about a record.
_CONTENT_FAULTS = (400, 413, 422)
_NOTHING_SENT = "5005"
# So many records refused alone, and none taken: then the account or our form is at fault, not the records.
_DOUBTS = 3
_RACES = 3

Call = Callable[[Sequence[Intended], Connecting], tuple[Mapping[str, Verdict], bytes]]


class _NoLongerSafe(Exception):
    """The moment up to which a repeat does no harm has passed; nothing was sent."""


@dataclass
class _Search:
    """What splitting one refused batch has shown: whether Emarsys took any of it, who was refused alone before, and why."""

    taken: bool = False
    alone: list[Intended] = field(default_factory=list)
    error: TransportError | None = None


class Sending:
    """One kind of batch of a flow. ``request`` gives the body to keep, ``call`` sends and judges.

    ``endpoint`` names the form: what was taken once in this form shows that the form is right. ``repeat_until`` says that
    the records stand as unknown, and up to when Emarsys drops them if it has them already.
    """

    def __init__(
        self,
        delivery: Delivery,
        emarsys: Emarsys,
        endpoint: str,
        request: Callable[[Sequence[Intended]], bytes],
        call: Call,
        *,
        repeat_until: datetime | None = None,
    ) -> None:
        self._delivery, self._emarsys, self._endpoint = delivery, emarsys, endpoint
        self._request, self._call, self._until = request, call, repeat_until
        rules = delivery.settings.merchant.delivery
        self._ceiling = Ceiling(rules.max_attempts, rules.retry_hours)
        self._taken = False  # whether Emarsys took anything of what went through here
        self._alone: list[Intended] = []  # who was refused alone before it did

    def send(self, items: Sequence[Intended]) -> None:
        """One batch, to its end: split until what spoils it stands alone, lost races repeated.

        Raises the `TransportError` when going on makes no sense (credentials, permission, no connection, or everything
        refused); by then every outcome has been written.
        """
        lost: list[Intended] = []
        search = _Search(taken=self._taken)
        if not self._try(items, search, lost) and len(items) > 1:
            self._split(list(items), search, lost)
        self._decide(search)
        for turn in range(1, _RACES + 1):
            if not lost:
                break
            time.sleep(random.uniform(0, self._emarsys.back_off * 2**turn))  # noqa: S311 - full jitter
            again, lost = lost, []
            self._try(again, _Search(taken=True), lost if turn < _RACES else None)

    def _split(self, items: list[Intended], search: _Search, lost: list[Intended]) -> None:
        """Finds what spoils a batch that was refused. One call halves the suspects: when one half is taken the other is
        suspect without being asked, and what was left aside is sent together in the end."""
        front = True
        while items:
            suspects, rest, settled = items, list[Intended](), False
            while len(suspects) > 1:
                middle = len(suspects) // 2
                halves = suspects[:middle], suspects[middle:]
                asked, other = halves if front else halves[::-1]
                if self._try(asked, search, lost):
                    suspects = other
                else:
                    suspects, rest, settled = asked, [*rest, *other], len(asked) == 1
            if not settled:
                self._try(suspects, search, lost)
            if not rest or (len(search.alone) >= _DOUBTS and not search.taken):
                return
            if self._try(rest, search, lost) or len(rest) == 1:
                return
            items, front = rest, not front  # from the other end, lest a row of spoilt ones looks like all there is

    def _decide(self, search: _Search) -> None:
        """What becomes of records refused alone: they are at fault once Emarsys took others in this form. Until then nobody
        knows; several, or a form that it never took, say that the account or our form is. They wait, up to the ceiling."""
        report = self._delivery.report
        self._taken |= search.taken
        if self._taken:
            report.sent, report.retryable = report.sent - len(self._alone), report.retryable - len(self._alone)
            again, self._alone = [*self._alone, *search.alone], []
            for item in again:
                self._try([item], None, None)
            return
        self._alone += search.alone
        if search.error and (len(self._alone) >= _DOUBTS or not self._delivery.ledger.proven(self._endpoint)):
            raise search.error
        report.count({item.key: Verdict("retryable") for item in search.alone})

    def _try(self, items: Sequence[Intended], search: _Search | None, lost: list[Intended] | None) -> bool:
        """Intent, call, outcome – for one batch. Returns False when it was refused as a whole for what it contains.

        Races are left in ``lost`` for a repeat; without a ``search`` a record refused alone is rejected.
        """
        with unbroken():
            return self._try_unbroken(items, search, lost)

    def _try_unbroken(self, items: Sequence[Intended], search: _Search | None, lost: list[Intended] | None) -> bool:
        delivery, emarsys, ledger = self._delivery, self._emarsys, self._delivery.ledger
        delivery.sent = True
        batch_id = ledger.intend(
            delivery.flow, self._endpoint, delivery.run_id, items, self._request(items), emarsys.now(),
            repeats=self._until is not None,
        )  # fmt: skip
        crash.point("intended")
        started = time.perf_counter()
        response, status, note = b"", None, None
        stop: Exception | None = None
        refused = doubtful = left = False

        def connecting() -> None:  # at each attempt, however long it waited for its turn
            nonlocal left
            if self._until and emarsys.now() >= self._until:
                raise _NoLongerSafe("it waited for its turn until Emarsys may have forgotten the first one")
            ledger.connecting(batch_id, emarsys.now())
            crash.point("connecting")
            left = True

        def all_of(
            outcome: answers.Outcome, reason: str, code: str | None = None, *, attempt: bool = False
        ) -> dict[str, Verdict]:
            return {item.key: Verdict(outcome, code, reason, attempt) for item in items}

        verdicts: Mapping[str, Verdict] = {}
        try:
            verdicts, response = self._call(items, connecting)
            status = 200
            if search:
                search.taken = True
            stop = self._account_at_fault(verdicts.values())
            crash.point("answered")
        except TakenOver:
            raise  # it has its fate
        except _NoLongerSafe as error:
            verdicts = all_of("retryable", str(error))
        except (RefusedBeforeSend, AuthFailed, PermissionMissing) as error:
            verdicts, status, stop = all_of(_undone(error), error.detail, attempt=error.doubted), error.status, error
        except Permanent as error:
            status, note = error.status, error.detail
            code, words = _reply_code(error), error.body[:300] or error.detail
            if code == _NOTHING_SENT:
                verdicts = all_of("rejected", words, code)
            elif code == _AT_EMARSYS:
                verdicts = all_of("unknown", words, code, attempt=True)
            elif code in _ACCOUNT_FAULTS or error.status not in _CONTENT_FAULTS:
                verdicts, stop = all_of(_undone(error), words, code, attempt=error.doubted), error
            elif len(items) > 1:
                verdicts, refused = all_of("retryable", "refused as a whole; sent again in parts"), True
            elif search and not search.taken and code not in _RECORD_FAULTS:
                why = "refused alone; what becomes of the others decides"
                verdicts, refused = all_of("retryable", why, code, attempt=True), True
                search.alone.append(items[0])
                search.error, doubtful = error, True
            else:
                verdicts, refused = all_of("rejected", words, code), True
        except TransportError as error:  # of what was not sent (no token, say) the outcome is known
            outcome = "unknown" if error.sent else _undone(error)
            verdicts, status = all_of(outcome, error.detail, attempt=outcome == "unknown"), error.status
        except answers.NotTrusted as error:
            verdicts = all_of("unknown", str(error), attempt=True)
        except Exception as error:  # a failure of ours: what is known by then is written down all the same
            outcome = "unknown" if left else "retryable"
            verdicts, stop = verdicts or all_of(outcome, f"{type(error).__name__} in this process", attempt=left), error
        dead = ledger.close_batch(
            batch_id, verdicts, emarsys.now(), ceiling=self._ceiling, response=response, status=status,
            seconds=round(time.perf_counter() - started, 4), note=note,
        )  # fmt: skip
        crash.point("closed")
        delivery.report.dead_letters += len(dead)
        if (refused and len(items) > 1) or doubtful:
            return False
        races = {key for key, fate in verdicts.items() if fate.outcome == "retryable" and fate.attempt} - dead
        races = races if lost is not None else set()
        if lost is not None:
            lost += [item for item in items if item.key in races]
        delivery.report.count({key: verdict for key, verdict in verdicts.items() if key not in races})
        progress.report(f"{delivery.flow} sent", delivery.report.sent, None)
        if stop:
            raise stop
        return not refused

    def _account_at_fault(self, verdicts: Iterable[Verdict]) -> Permanent | None:
        """What to stop with when a record met what every other one will meet."""
        for verdict in verdicts:
            if answers.of_the_account(verdict):
                method, path = self._endpoint.split(" ", 1)
                told = f"code {verdict.code}: {verdict.reason}. The account's fields are not what they were"
                return Permanent("Emarsys", method, path, told, status=200)
        return None


def _undone(error: TransportError) -> answers.Outcome:
    """The outcome of a call whose last attempt was certainly not applied."""
    return "unknown" if error.doubted else "retryable"


def _reply_code(error: TransportError) -> str | None:
    try:
        return str(json.loads(error.body)["replyCode"])
    except (ValueError, KeyError, TypeError):
        return None
