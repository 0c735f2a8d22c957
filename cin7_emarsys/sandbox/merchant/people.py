"""The merchant's customers, made on demand from the seed; those that changed or were added are kept.

The first numbers are the strange ones (`oddities.CUSTOMERS`); about one in ten of the rest buys wholesale.
"""

from array import array
from decimal import Decimal

from cin7_emarsys.sandbox.merchant.ids import DAY_MS, Kind, draw, guid, mix
from cin7_emarsys.sandbox.merchant.model import Contact, Customer

_FIRST = (
    "Ava", "Noah", "Mia", "Liam", "Zoë", "Jack", "Ruby", "Oscar", "Chloé", "Henry", "Isla", "Leo", "Grace", "Max",
    "Søren", "Priya", "Wei", "Fatima", "Diego", "Anja",
)  # fmt: skip
_LAST = (
    "Nguyen", "Smith", "O'Brien", "Papadopoulos", "Müller", "Singh", "Walker", "Kelly", "Rossi", "Chen", "Taylor",
    "Brown", "Ivanova", "García", "Hansen", "Okafor", "Tanaka", "Martin", "de Vries", "Wilson",
)  # fmt: skip
_PLAIN = str.maketrans("ëéøüí' ", "eeoui--")
_CITIES = (
    ("Sydney", "NSW", "2000"), ("Melbourne", "VIC", "3000"), ("Brisbane", "QLD", "4000"), ("Perth", "WA", "6000"),
    ("Hobart", "TAS", "7000"),
)  # fmt: skip
_CACHE = 20_000


class People:
    """Customers by number. `specials` are kept objects with the numbers 0, 1, 2, …"""

    def __init__(self, seed: int, count: int, anchor: int) -> None:
        self.seed, self.anchor = seed, anchor
        self.modified = array("q", (_modified(anchor, n) for n in range(count)))
        self.kept: dict[int, Customer] = {}
        self._made: dict[int, Customer] = {}
        self._first: dict[int, Customer] = {}
        self.version = 0

    def __len__(self) -> int:
        return len(self.modified)

    def get(self, n: int) -> Customer:
        customer = self.kept.get(n) or self._made.get(n)
        if customer is None:
            if len(self._made) > _CACHE:
                self._made.clear()
            customer = self._made[n] = self.make(n)
        return customer

    def original(self, n: int) -> Customer:
        """A seeded customer as it was at first, for old documents; not to be changed."""
        customer = self._first.get(n)
        if customer is None:
            if len(self._first) > _CACHE:
                self._first.clear()
            customer = self._first[n] = self.make(n)
        return customer

    def keep(self, customer: Customer, now: int) -> None:
        """Stores a customer that changed (or is new: its number is then `len(self)`)."""
        customer.modified = now
        self.kept[customer.n] = customer
        self._made.pop(customer.n, None)
        if customer.n == len(self.modified):
            self.modified.append(now)
        else:
            self.modified[customer.n] = now
        self.version += 1

    def new(self, name: str, contacts: list[Contact] | None = None, **rest: object) -> Customer:
        """A customer with the next number; not yet stored."""
        n = len(self.modified)
        return Customer(n, guid(Kind.CUSTOMER, n, self.seed), name, contacts or [], **rest)  # type: ignore[arg-type]

    def find_email(self, email: str) -> Customer | None:
        """The first kept or seeded customer with that address, ignoring case; seeded addresses carry their number."""
        wanted = email.strip().lower()
        for customer in self.kept.values():
            if any((c.email or "").strip().lower() == wanted for c in customer.contacts):
                return customer
        digits = "".join(ch for ch in wanted.split("@")[0].rsplit(".", 1)[-1] if ch.isdigit())
        n = int(digits) if digits else -1
        if 0 <= n < len(self) and any(c.email == wanted for c in self.get(n).contacts):
            return self.get(n)
        return None

    def make(self, n: int) -> Customer:
        rng = draw(self.seed, Kind.CUSTOMER, n)
        first, last = rng.choice(_FIRST), rng.choice(_LAST)
        wholesale = n % 10 == 9
        person = f"{first} {last}"
        name = f"{last} Trading {n}" if wholesale else f"{person} {n}"
        email = f"{first}.{last}".translate(_PLAIN).lower() + f".{n}@example.com"
        roll = rng.random()
        consent = 1 if roll < 0.5 else 2 if roll < 0.85 else 3 if roll < 0.95 else 0
        phone = f"04{rng.randrange(10**8):08d}" if rng.random() < 0.6 else None
        city, state, postcode = rng.choice(_CITIES)
        return Customer(
            n,
            guid(Kind.CUSTOMER, n, self.seed),
            name,
            [Contact(n * 16, person, email, True, consent, phone)],
            tier="Wholesale" if wholesale else "Retail",
            tags="wholesale" if wholesale else rng.choice((None, None, "", "vip", "newsletter, vip")),
            city=city,
            state=state,
            postcode=postcode,
            street=f"{rng.randrange(1, 400)} {rng.choice(('Park', 'High', 'Station', 'Beach'))} St",
            addresses=rng.choice((0, 1, 2, 2, 2, 2, 3)),
            discount=Decimal(5) if wholesale and rng.random() < 0.3 else Decimal(0),
            modified=self.modified[n],
        )


def _modified(anchor: int, n: int) -> int:
    return anchor - 2 * DAY_MS - mix(n * 3 + 1) % (500 * DAY_MS)
