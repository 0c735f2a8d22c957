"""Deleting the contacts of erased persons at Emarsys.

What belongs here: that one call and its fate. What does not: erasing them from the ledger (``erasure.py``), and what comes
first (``operations/erase.py``).

A deletion is sent like anything else, as the flow `erasures`: written down before and after, by salted hash.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from cin7_emarsys.emarsys.answers import ACCEPTED, Verdict
from cin7_emarsys.emarsys.client import Connecting
from cin7_emarsys.emarsys.delivery import Delivery
from cin7_emarsys.emarsys.ledger import Intended
from cin7_emarsys.emarsys.sending import Sending
from cin7_emarsys.erased import Erased

FLOW = "erasures"
_NOT_THERE = "2008"


def delete_contacts(delivery: Delivery, erased: Erased, emails: Sequence[str]) -> int:
    """Deletes the contacts with these addresses at Emarsys; one that is not there is good as well. Irreversible.

    Returns how many were there. The outcome stands in ``delivery.report``. Idempotent: what is unknown is asked again by
    saying it again. Raises a `TransportError`.
    """
    absent: set[str] = set()
    by_key = {f"erased:{erased.digest(email)}": email for email in emails}

    def request(items: Sequence[Intended]) -> bytes:
        return json.dumps({"deleted": [item.key for item in items]}).encode()

    with delivery.open() as emarsys:

        def call(items: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
            asked = [by_key[item.key] for item in items]
            found = emarsys.verdicts(emarsys.delete_contacts(asked, connecting), asked).by_key
            absent.update(item.key for item in items if found[by_key[item.key]].code == _NOT_THERE)
            fates = {item.key: _fate(found[by_key[item.key]], erased.without) for item in items}
            return fates, json.dumps({key: fate.outcome for key, fate in fates.items()}).encode()

        sending = Sending(delivery, emarsys, "POST contact/delete", request, call)
        sending.send([Intended(key, json.dumps({"erased": key}), key) for key in by_key])
    return delivery.report.accepted - len(absent)


def _fate(verdict: Verdict, without: Callable[[str], str]) -> Verdict:
    if verdict.code == _NOT_THERE:
        return ACCEPTED
    return Verdict(verdict.outcome, verdict.code, without(verdict.reason or "") or None, verdict.attempt)
