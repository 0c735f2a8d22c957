"""Actions on customers, and planted bad records: new customer, consent, e-mail, tags; corrupt and heal."""

from typing import Any

from cin7_emarsys.sandbox.merchant.deal import Action, Deal, Result
from cin7_emarsys.sandbox.merchant.ids import Kind, number_of
from cin7_emarsys.sandbox.merchant.model import Contact, Customer

ENTITIES = ("product", "customer", "sale", "availability")
CORRUPTIONS = (
    "missing-key",
    "missing-id",
    "wrong-type",
    "unknown-enum",
    "impossible-date",
    "absurd-number",
    "contradiction",
)


def find_customer(deal: Deal, text: str) -> Customer:
    """By customer id, e-mail or exact name."""
    people = deal.m.people
    n = number_of(Kind.CUSTOMER, text, deal.m.seed)
    if n is not None and 0 <= n < len(people):
        return people.get(n)
    found = people.find_email(text) if "@" in text else None
    found = found or next((c for c in people.kept.values() if c.name == text), None)
    if found is None:
        raise ValueError(f"unknown customer {text!r}; give an id or an e-mail")
    return found


def _chosen(deal: Deal, customer: str | None, email: str | None) -> Customer:
    if customer or email:
        return find_customer(deal, customer or email or "")
    return deal.m.people.get(min(30, len(deal.m.people) - 1))


def _told(deal: Deal, customer: Customer, **more: Any) -> Result:
    contact = customer.contact
    return {
        "customer_id": customer.id,
        "customer": customer.name,
        "email": contact.email if contact else None,
        "consent": contact.consent if contact else None,
        **more,
    }


def _keep(deal: Deal, customer: Customer, bump: bool = True) -> None:
    deal.m.people.keep(customer, deal.m.now() if bump else customer.modified)


def new_customer(
    deal: Deal,
    *,
    email: str | None = None,
    name: str | None = None,
    consent: int = 1,
    tier: str = "Retail",
    tags: str | None = None,
) -> Result:
    """A new customer with one contact; consent 0 or 1 unknown, 2 opt-in, 3 opt-out."""
    n = len(deal.m.people)
    address = email if email is not None else f"new.{n}@example.com"
    customer = deal.m.people.new(name or f"New Customer {n}", tier=tier, tags=tags, country=deal.m.country,
                                 currency=deal.m.currency)  # fmt: skip
    customer.contacts = [Contact(n * 16, name or "New Person", address, True, consent)]
    _keep(deal, customer)
    return _told(deal, customer)


def consent(
    deal: Deal, *, customer: str | None = None, email: str | None = None, consent: int = 3, bump: bool = True
) -> Result:
    """Sets the consent of the contact with that e-mail, else of the default one; `bump` false: LastModifiedOn stays."""
    person = _chosen(deal, customer, email)
    if consent not in (0, 1, 2, 3):
        raise ValueError("'consent' is 0, 1, 2 or 3")
    named = [c for c in person.contacts if email and (c.email or "").strip().lower() == email.strip().lower()]
    contact = named[0] if named else person.contact
    if contact is None:
        raise ValueError(f"{person.name} has no contact")
    old, contact.consent = contact.consent, consent
    _keep(deal, person, bump)
    return _told(deal, person, old=old, contact_email=contact.email)


def change_email(
    deal: Deal, *, customer: str | None = None, email: str | None = None, to: str | None = None, bump: bool = True
) -> Result:
    """A new address for the default contact; sales keep the address they were made with."""
    person = _chosen(deal, customer, email)
    contact = person.contact
    if contact is None:
        raise ValueError(f"{person.name} has no contact")
    old, contact.email = contact.email, to if to is not None else f"moved.{person.n}@example.com"
    _keep(deal, person, bump)
    return _told(deal, person, old=old)


def edit_customer(
    deal: Deal,
    *,
    customer: str | None = None,
    email: str | None = None,
    name: str | None = None,
    tier: str | None = None,
    tags: str | None = None,
    status: str | None = None,
) -> Result:
    """Changes name, price tier, tags or status ("Active", "Deprecated")."""
    person = _chosen(deal, customer, email)
    for key, value in (("name", name), ("tier", tier), ("tags", tags), ("status", status)):
        if value is not None:
            setattr(person, key, value)
    _keep(deal, person)
    return _told(deal, person, tier=person.tier, tags=person.tags, status=person.status)


def corrupt(deal: Deal, *, entity: str, what: str = "missing-key", key: str | None = None) -> Result:
    """Every answer with that record carries one thing wrong, until healed. `key`: SKU, customer id or e-mail, sale id
    or order number; LastModifiedOn moves, so that an incremental read meets it."""
    if entity not in ENTITIES:
        raise ValueError(f"unknown entity {entity!r}; known: {', '.join(ENTITIES)}")
    if what not in CORRUPTIONS:
        raise ValueError(f"unknown corruption {what!r}; known: {', '.join(CORRUPTIONS)}")
    if what == "contradiction" and entity not in ("sale", "availability"):
        raise ValueError(f"a {entity} has no figures that could contradict each other")
    found = _bump(deal, entity, key)
    deal.m.corrupt.setdefault(entity, {})[found] = what
    return {"entity": entity, "what": what, "key": found}


def heal(deal: Deal, *, entity: str | None = None, key: str | None = None) -> Result:
    """Heals one record, one entity or all."""
    healed = []
    for name in list(deal.m.corrupt) if entity is None else [entity]:
        for known in list(deal.m.corrupt.get(name, {})):
            if key is None or known == _key(deal, name, key):
                del deal.m.corrupt[name][known]
                healed.append({"entity": name, "key": _bump(deal, name, known)})
    deal.m.corrupt = {name: rows for name, rows in deal.m.corrupt.items() if rows}
    return {"healed": healed}


def _key(deal: Deal, entity: str, key: str | None) -> str:
    if entity == "customer":
        return _chosen(deal, key, None).id
    if entity == "sale":
        return deal.sale(key, lambda s: bool(s.invoices), "corrupt").id
    return deal.product(key).sku


def _bump(deal: Deal, entity: str, key: str | None) -> str:
    found = _key(deal, entity, key)
    if entity == "customer":
        _keep(deal, find_customer(deal, found))
    elif entity == "sale":
        deal.m.keep_sale(deal.m.sales.find(found))
    elif entity == "product":
        deal.m.catalogue.find(found).modified = deal.m.now()
    return found


ACTIONS: dict[str, Action] = {
    f.__name__: f for f in (new_customer, consent, change_email, edit_customer, corrupt, heal)
}
