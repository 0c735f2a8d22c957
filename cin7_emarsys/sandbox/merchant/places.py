"""The merchant's locations and bins, and from where a new web order may be served."""

from dataclasses import dataclass

MAIN, SHOP, QUARANTINE, THIRD_PARTY = range(4)
LOCATIONS = ("Main Warehouse", "Shop Floor", "Quarantine", "3PL")
STAGING, DAMAGED = "STAGING", "DAMAGED"
WEB_LOCATIONS = (MAIN, THIRD_PARTY)
"""In the order in which a picker tries them. The shop sells over its own counter; quarantine serves nobody."""
BLOCKED_BINS = frozenset({STAGING, DAMAGED})


@dataclass(slots=True, frozen=True)
class Place:
    n: int
    name: str
    bins: tuple[str, ...]


def places(bins: int) -> list[Place]:
    """The four locations; the main warehouse has `bins` shelf bins besides STAGING and DAMAGED."""
    shelves = tuple(f"A-{1 + i // 20:02d}-{1 + i % 20:02d}" for i in range(bins))
    return [
        Place(MAIN, LOCATIONS[MAIN], (*shelves, STAGING, DAMAGED)),
        Place(SHOP, LOCATIONS[SHOP], ()),
        Place(QUARANTINE, LOCATIONS[QUARANTINE], ()),
        Place(THIRD_PARTY, LOCATIONS[THIRD_PARTY], ("P-01", "P-02")),
    ]


def location_number(name: str) -> int:
    for n, known in enumerate(LOCATIONS):
        if known.lower() == name.strip().lower():
            return n
    raise ValueError(f"unknown location {name!r}; known: {', '.join(LOCATIONS)}")


def pickable(location: int, bin_name: str | None) -> bool:
    """Whether a picker may take units for a web order from there."""
    return location in WEB_LOCATIONS and bin_name not in BLOCKED_BINS
