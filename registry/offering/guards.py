"""Whether a tokenization's sale may begin, end and bring the token to life."""

from __future__ import annotations

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.captable import service as captable
from registry.compliance.lint import Sale
from registry.kernel.clock import now, written
from registry.kernel.errors import Conflict, Invalid
from registry.lifecycle.service import Attempt, guard
from registry.offering import acceptance, allotting, minting, orders, rescinding
from registry.offering.minting import is_nothing_minted
from registry.offering.models import Offering, Order, OrderState
from registry.offering.placing import (
    bought_at_close,
    require_given_back_fits,
    require_rest_placed,
)
from registry.offering.terms import OfferTerms, check_offer_terms
from registry.rulebook.service import Moment
from registry.tokenization.compliance import require_sound_terms, terms_of
from registry.tokenization.gate import require_open_gate
from registry.tokenization.models import Tokenization, TokenizationState

MACHINE = "tokenization"


@guard(MACHINE, "open_offer")
def _terms_fit_and_the_gate_is_open(attempt: Attempt[Tokenization]) -> None:
    terms, declared = attempt.given["terms"], attempt.record.declared_fractions
    check_offer_terms(terms, declared, attempt.record.price_paisa, now())
    require_own_countries(attempt.record, terms)
    require_open_gate(attempt.session, attempt.record, moment=Moment.OFFERING)
    if attempt.record.compliance is not None:
        # A token from before compliance terms has no module that could refuse its buyers.
        sale = Sale(
            offered_units=terms.offered_units,
            minimum_units=terms.minimum_units,
            min_ticket_units=terms.min_ticket_units,
        )
        require_sound_terms(attempt.session, attempt.record, sale)


def require_own_countries(tokenization: Tokenization, terms: OfferTerms) -> None:
    """Refuse a sale to residents of countries in which the token may not be held.

    Raises
    ------
    Invalid
        ``offer_countries_wider``.
    """
    of_token = terms_of(tokenization)
    if of_token is None or terms.eligible_countries is None:
        return
    others = sorted(set(terms.eligible_countries) - set(of_token.allowed_countries))
    if others:
        raise Invalid(
            "offer_countries_wider",
            f"Residents of {', '.join(others)} may not hold {tokenization.symbol}.",
            field="/eligible_countries",
            remedy=f"Choose among {', '.join(of_token.allowed_countries)}.",
        )


@guard(MACHINE, "close_offer")
def nobody_is_in_cooling_off(attempt: Attempt[Tokenization]) -> None:
    """Refuse a mint for who may still withdraw (ADR 0047)."""
    offering: Offering = attempt.given["offering"]
    until = attempt.session.exec(
        select(func.max(col(Order.withdrawable_until))).where(
            col(Order.offering_id) == offering.id,
            col(Order.state) == OrderState.PAID,
            col(Order.withdrawable_until) > now(),
        )
    ).one()
    if until is not None:
        raise Conflict(
            "cooling_off_running",
            f"A paid order can still be withdrawn until {written(until)}.",
            remedy="Stop the sale at /v1/offerings/{id}/stop; it closes when cooling-off is over.",
        )


@guard(MACHINE, "close_offer")
def _enough_is_paid_for(attempt: Attempt[Tokenization]) -> None:
    require_open_gate(attempt.session, attempt.record)
    offering: Offering = attempt.given["offering"]
    sold = sold_units(attempt.session, offering)
    if sold < offering.minimum_units:
        raise Conflict(
            "offering_below_minimum",
            f"{sold} fractions would be sold, {offering.minimum_units} are the minimum.",
            remedy="Wait for more payments, or give the sale up with /unwind.",
        )
    bought = bought_at_close(attempt.session, offering)
    require_rest_placed(attempt.session, attempt.record, bought)


@guard(MACHINE, "mint_confirmed")
def require_fully_minted(attempt: Attempt[Tokenization]) -> None:
    """Ask that every declared fraction is minted and reconciled (TOK-02, TOK-03).

    That is asked before the unpause is planned; once it is final on chain, it is a fact.
    """
    if attempt.given.get("unpaused"):
        return
    tokenization = attempt.record
    assert tokenization.token_address is not None, "a MINTING tokenization is deployed"
    proof = captable.latest_reconciliation(attempt.session, tokenization.token_address)
    if (
        proof is None
        or proof.differences
        or proof.chain_supply_units != tokenization.declared_fractions
    ):
        supply = proof.chain_supply_units if proof else 0
        raise Conflict(
            "not_reconciled",
            f"{supply} of {tokenization.declared_fractions} fractions are minted and reconciled.",
            remedy="Wait until the mint operations are final, or look at /reconciliations.",
        )


@guard(MACHINE, "fail_offer")
def too_little_is_paid_for(attempt: Attempt[Tokenization]) -> None:
    """A sale fails below its minimum, and one that would sell nothing whatever its minimum is."""
    offering: Offering = attempt.given["offering"]
    sold = sold_units(attempt.session, offering)
    if sold and sold >= offering.minimum_units:
        raise Conflict(
            "minimum_reached",
            f"{sold} fractions would be sold, {offering.minimum_units} are the minimum.",
            remedy="Close the sale with /mint; where that is refused for good, two people give it"
            " up at /give_up.",
        )


@guard(MACHINE, "give_up")
def something_keeps_it_from_its_close(attempt: Attempt[Tokenization]) -> None:
    """Nobody gives up a sale that could be closed: what was paid for is bought."""
    if find_obstacle(attempt.session, attempt.record, attempt.given["offering"]) is None:
        raise Conflict(
            "nothing_in_the_way",
            "The gate is open, and no paper of the sale is revoked.",
            remedy="Close the sale with /mint, or let it miss its minimum.",
        )


def find_obstacle(
    session: Session, tokenization: Tokenization, offering: Offering
) -> Conflict | None:
    """Return what keeps a sale from its close whatever is paid for, or keeps what it sold unminted.

    Whether it is for good, people decide: a stay may be vacated, a court's sale is not.
    """
    try:
        _require_holders(session, tokenization, offering)
        require_open_gate(session, tokenization)
        acceptance.require_no_document_revoked(session, offering)
        if _needs_treasury(session, tokenization, offering):
            minting.require_treasury(session, tokenization)
    except Conflict as refusal:
        return refusal
    return None


def _needs_treasury(session: Session, tokenization: Tokenization, offering: Offering) -> bool:
    """Tell whether the wrapper is to keep something by now that was not minted to it yet.

    What can never be minted to its buyer is given back to it. Before a sale's time is over the
    rest may still be sold, and the wrapper may still enrol.
    """
    if tokenization.state == TokenizationState.MINTING:
        failed = minting.failed_rests(session, tokenization) or minting.failed_orders(
            session, offering
        )
        return bool(failed)
    is_over = orders.is_time_over(offering, now())
    return is_over and sold_units(session, offering) < tokenization.declared_fractions


@guard(MACHINE, "give_up")
def nothing_is_on_its_way(attempt: Attempt[Tokenization]) -> None:
    """What the chain still mints would come after everything was burned."""
    if rescinding.is_under_way(attempt.session, attempt.record):
        raise Conflict(
            "mint_under_way",
            "A mint or the opening of this token is on its way, or not read from the chain yet.",
            remedy="Wait until its operation has ended; a closed gate refuses what is planned.",
        )


def _require_holders(session: Session, tokenization: Tokenization, offering: Offering) -> None:
    """Ask that somebody may hold what is not bought, and what can never be minted to its buyer.

    A sale below its minimum is no matter of holders: it fails.
    """
    if tokenization.state == TokenizationState.MINTING:
        for order in minting.failed_orders(session, offering):
            require_given_back_fits(session, tokenization, offering, order)
    elif sold_units(session, offering) >= offering.minimum_units:
        require_rest_placed(session, tokenization, bought_at_close(session, offering))


@guard(MACHINE, "refunds_done")
def everything_went_back(attempt: Attempt[Tokenization]) -> None:
    """The state machine's guard: all refunded, and nothing was minted that is not burned."""
    _require_nothing_left(attempt)
    offering: Offering = attempt.given["offering"]
    due = attempt.session.exec(
        select(func.count()).where(
            col(Order.offering_id) == offering.id, col(Order.state) == OrderState.REFUND_DUE
        )
    ).one()
    if due:
        raise Conflict("refunds_due", f"{due} payments have not gone back yet.")


@guard(MACHINE, "cancel")
def nothing_was_minted(attempt: Attempt[Tokenization]) -> None:
    if attempt.record.state == TokenizationState.DEPLOYED:
        _require_nothing_left(attempt)


def _require_nothing_left(attempt: Attempt[Tokenization]) -> None:
    if not rescinding.is_nothing_left(attempt.session, attempt.record):
        raise Conflict(
            "token_on_chain",
            "Fractions of the token exist on chain, or what is known of it is not final.",
            remedy="Wait until the token is read to its end, and its last burn is final.",
        )


def sold_units(session: Session, offering: Offering) -> int:
    """Return how many fractions a sale sells if it closes now.

    Of what is paid for by who may hold it, in a sale that allots at its close that is what the cut
    leaves: whether it may close and whether it has failed must not be asked of two different
    numbers.
    """
    asked = session.exec(
        select(Order.units).where(orders.buys(session, offering)).order_by(col(Order.id))
    ).all()
    return sum(allotting.parts_of(offering, asked))


@guard(MACHINE, "mint_failed")
def nothing_is_minted(attempt: Attempt[Tokenization]) -> None:
    if not is_nothing_minted(attempt.session, attempt.record):
        raise Conflict(
            "something_minted",
            "A mint of this sale is done or on its way.",
            remedy="Ask for what failed again with /mint.",
        )
