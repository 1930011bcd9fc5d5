"""The terms of a sale, as whoever opens it proposes them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from registry.kernel.clock import written
from registry.kernel.errors import Invalid
from registry.kernel.money import MAX_PAISA, Money
from registry.offering.models import Allotment
from registry.party.rules import check_country

DAY_HOURS = 24
MAX_COOLING_OFF_HOURS = 90 * DAY_HOURS
MAX_PAYMENT_HOURS = 90 * DAY_HOURS
MAX_WAITING_LIST_HOURS = 30 * DAY_HOURS
USUAL_WAITING_LIST_HOURS = 2 * DAY_HOURS
USUAL_PAYMENT_HOURS = 3 * DAY_HOURS


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferTerms:
    """The terms of a sale.

    Parameters
    ----------
    offered_units
        Fractions on sale (the hard cap); what is not on sale is minted to the wrapper.
    minimum_units
        Fractions that must be paid for before anything is minted (the soft cap).
    min_ticket_units
        Smallest order.
    max_ticket_units
        What one investor may order in all; None: as much as is offered.
    opens_at, closes_at
        Orders are taken from one until the other; None: from now, until compliance closes.
    eligible_countries
        ISO 3166-1 alpha-2, some of the token's own; None: all of those.
    cooling_off_hours
        So long after an order its investor may withdraw it; nothing is minted before.
    payment_hours
        So long an order waits for its money; None: until the sale closes, at a time that is known.
    waiting_list_hours
        So long what became free is kept for who waited for it; 0: there is no waiting list.
    document_ids
        Papers of the asset that each buyer must accept.
    """

    offered_units: int
    minimum_units: int = 0
    min_ticket_units: int = 1
    max_ticket_units: int | None = None
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    eligible_countries: tuple[str, ...] | None = None
    allotment: Allotment = Allotment.FIRST_COME
    cooling_off_hours: int = 0
    payment_hours: int | None = USUAL_PAYMENT_HOURS
    waiting_list_hours: int = USUAL_WAITING_LIST_HOURS
    document_ids: tuple[UUID, ...] = ()


def check_offer_terms(
    terms: OfferTerms, declared_units: int, price_paisa: int, moment: datetime
) -> None:
    """Refuse terms that no sale can have.

    Parameters
    ----------
    price_paisa
        Of one fraction.

    Raises
    ------
    Invalid
        ``offer_exceeds_declared``, ``offer_price_too_high``, ``offer_terms_invalid``,
        ``country_unknown``.
    """
    if not 0 < terms.offered_units <= declared_units:
        raise Invalid(
            "offer_exceeds_declared",
            f"{terms.offered_units} fractions are offered, {declared_units} are declared.",
            field="/offered_units",
        )
    if terms.offered_units * price_paisa > MAX_PAISA:
        # Somebody may order all of it; an order of more could be neither written nor paid.
        raise Invalid(
            "offer_price_too_high",
            f"All of it would cost more than {Money(MAX_PAISA)} rupees.",
            field="/offered_units",
            remedy="Offer fewer fractions, or each for less.",
        )
    _check_tickets(terms)
    _check_time(terms, moment)
    for name, hours, least, most in (
        ("cooling_off", terms.cooling_off_hours, 0, MAX_COOLING_OFF_HOURS),
        ("payment_hours", terms.payment_hours, 1, MAX_PAYMENT_HOURS),
        ("waiting_list_hours", terms.waiting_list_hours, 0, MAX_WAITING_LIST_HOURS),
    ):
        if hours is not None and not least <= hours <= most:
            raise _invalid(f"{hours} hours are not from {least} to {most}.", name)
    if terms.eligible_countries is not None:
        if not terms.eligible_countries:
            raise _invalid("Residents of no country could order.", "eligible_countries")
        for alpha2 in terms.eligible_countries:
            check_country(alpha2, field="/eligible_countries")


def _check_tickets(terms: OfferTerms) -> None:
    if not 0 <= terms.minimum_units <= terms.offered_units:
        raise _invalid("The minimum is at most what is offered.", "minimum_units")
    if not 1 <= terms.min_ticket_units <= terms.offered_units:
        raise _invalid(
            "The smallest order is at least one fraction, and at most what is offered.",
            "min_ticket_units",
        )
    most = terms.max_ticket_units
    if most is not None and not terms.min_ticket_units <= most <= terms.offered_units:
        raise _invalid(
            "What one investor may order is at least the smallest order, and at most what is "
            "offered.",
            "max_ticket_units",
        )
    if _may_miss_its_minimum(terms):
        minimum = terms.offered_units - terms.min_ticket_units + 1
        ticket = terms.offered_units - terms.minimum_units + 1
        raise _invalid(
            "Enough could be paid for, and the cut at the close leave less than the minimum.",
            "minimum_units",
            remedy=f"Have a minimum of at most {minimum}, or a smallest order of at most {ticket}.",
        )


def _may_miss_its_minimum(terms: OfferTerms) -> bool:
    """Tell whether some book would reach the minimum, and its cut miss it: it could never end.

    A cut that drops orders leaves less than a ticket unsold, or nothing. So it misses only where
    whole orders, each from the smallest to the largest, can sum to less than the minimum and to
    more than what is offered less a ticket; one more of the smallest is dropped then.
    """
    if terms.allotment != Allotment.PRO_RATA:
        return False
    below = terms.minimum_units - 1
    most = terms.max_ticket_units or terms.offered_units
    sold = min(below // terms.min_ticket_units * most, below)
    return sold > terms.offered_units - terms.min_ticket_units


def _check_time(terms: OfferTerms, moment: datetime) -> None:
    opens, closes = terms.opens_at, terms.closes_at
    if closes is None:
        if terms.payment_hours is None:
            raise _invalid(
                "Without an end of the sale, an order would wait for its money for ever.",
                "payment_hours",
            )
        return
    if closes <= moment:
        raise _invalid(f"{written(closes)} is over.", "closes_at")
    if opens is not None and closes <= opens:
        raise _invalid(f"It would open at {written(opens)}, after it closes.", "closes_at")


def _invalid(detail: str, field: str, *, remedy: str | None = None) -> Invalid:
    return Invalid("offer_terms_invalid", detail, field=f"/{field}", remedy=remedy)
