"""Whether an event may happen to a redemption, and to the token that it ends."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import col, select

from registry.asset import service as assets
from registry.asset.models import AssetState
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.lifecycle.reasons import require_reason
from registry.lifecycle.service import Attempt, guard
from registry.operation.models import IN_FLIGHT, Operation, OperationKind, OperationState
from registry.redemption import rules
from registry.redemption.models import PayoutState, Redemption, RedemptionKind, RedemptionState
from registry.redemption.repository import list_payouts, record_stands, tally
from registry.title import service as titles
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization
from registry.valuation import service as valuations
from registry.wrapper import service as wrappers

MACHINE = "redemption"
VALUATION_MAX_AGE = timedelta(days=90)
VOTE_AT_MOST = timedelta(days=90)
"""A vote that runs longer outlives the valuation that its approval needs."""

Try = Attempt[Redemption]


@guard(MACHINE, "validate")
def terms_are_whole(attempt: Try) -> None:
    """A record date, a basis of the price, and days in their order."""
    redemption = attempt.record
    if not redemption.price_basis.strip():
        raise Invalid("redemption_malformed", "A redemption says what its price rests on.")
    if redemption.price_paisa <= 0 and redemption.kind != RedemptionKind.DELIVERY:
        raise Invalid("redemption_malformed", "Only a delivery in kind pays nothing.")
    if redemption.costs_paisa and redemption.costs_paisa >= redemption.price_paisa:
        raise Invalid(
            "redemption_malformed", "Costs leave something of the price to the holders.",
            field="/costs/amount",
        )  # fmt: skip
    if not redemption.vote_until <= redemption.record_on <= redemption.long_stop_on:
        raise Invalid(
            "redemption_malformed",
            "The vote ends by the record date, and the record date is by the long stop.",
        )
    last = today() + VOTE_AT_MOST
    if redemption.kind in rules.VOTED_ON and not today() <= redemption.vote_until <= last:
        raise Invalid(
            "redemption_malformed", f"The vote ends on some day from today to {last}.",
            field="/vote_until",
        )  # fmt: skip


@guard(MACHINE, "vote")
def vote_is_decided(attempt: Try) -> None:
    redemption = attempt.record
    votes = tally(attempt.session, redemption)
    if redemption.kind not in rules.VOTED_ON:
        raise Conflict("vote_not_needed", f"A {redemption.kind} is not voted on.")
    if not (votes.carried or votes.lost or redemption.vote_until < today()):
        raise Conflict("vote_open", f"The vote runs until {redemption.vote_until}.")


@guard(MACHINE, "no_vote_needed")
def is_not_voted_on(attempt: Try) -> None:
    if attempt.record.kind in rules.VOTED_ON:
        raise Conflict("vote_needed", f"A {attempt.record.kind} is voted on by the holders.")


@guard(MACHINE, "approve")
def vote_and_valuation_carry_it(attempt: Try) -> None:
    """Carried, freshly valued by somebody else, and agreed by two people."""
    redemption, session = attempt.record, attempt.session
    if redemption.kind in rules.VOTED_ON and not tally(session, redemption).carried:
        raise Conflict("vote_not_carried", "Fewer than three quarters of the supply agree.")
    tokenization = tokenizations.get_tokenization(session, redemption.tokenization_id)
    valuation = valuations.accepted_valuation(session, tokenization.asset_id)
    if valuation is None or today() - valuation.basis_date > VALUATION_MAX_AGE:
        raise Conflict("valuation_stale", "A redemption needs a valuation of the last 90 days.")
    if attempt.given["missing"]:
        raise Conflict("approvals_missing", "Compliance and a registrar's checker must agree.")


@guard(MACHINE, "reject")
def vote_has_failed(attempt: Try) -> None:
    """Compliance may refuse anything, for a reason, but what the holders have carried."""
    require_reason(attempt)
    redemption = attempt.record
    if (
        redemption.state == RedemptionState.VOTED
        and redemption.kind in rules.VOTED_ON
        and tally(attempt.session, redemption).carried
    ):
        raise Conflict("vote_carried", "What the holders have carried stands.")


@guard(MACHINE, "withdraw")
def its_maker_says_why(attempt: Try) -> None:
    if not attempt.actor.is_person_of(attempt.record.maker):
        raise Forbidden("not_the_maker", "Whoever asked for this withdraws it; others reject it.")
    require_reason(attempt)


@guard(MACHINE, "freeze")
def token_stands_still(attempt: Try) -> None:
    if not attempt.given["token_paused"]:
        raise Conflict(
            "token_not_paused", "No final block of the chain shows that the token stands still yet."
        )
    if attempt.record.record_on > today():
        raise Conflict("record_date_ahead", f"The record date is {attempt.record.record_on}.")
    if not attempt.given["holders"]:
        raise Conflict("cap_table_empty", "Nobody holds a fraction.")
    acting = attempt.session.exec(
        select(Operation).where(
            col(Operation.kind) == OperationKind.CASE_ACT,
            col(Operation.state).in_([OperationState.PLANNED, *IN_FLIGHT]),
            col(Operation.params)["tokenization_id"].as_string()
            == str(attempt.record.tokenization_id),
        )
    ).first()
    if acting is not None:
        raise Conflict(
            "case_under_way",
            "An act of a case is on its way to this token.",
            remedy=f"Wait until operation {acting.id} has ended.",
        )


@guard(MACHINE, "fund")
def escrow_covers_it(attempt: Try) -> None:
    if attempt.given["escrow_paisa"] < attempt.record.net_paisa:
        raise Conflict(
            "escrow_short", "The escrow holds less than the sum of the payouts (rule RED-01).",
            rule="RED-01",
        )  # fmt: skip
    if not str(attempt.given.get("reference") or "").strip():
        raise Invalid("escrow_unnamed", "A funding names the statement of the escrow account.")


@guard(MACHINE, "abort")
def cannot_be_carried_through(attempt: Try) -> None:
    """Nobody funded it by the long stop; once funded, its record block says otherwise now."""
    if attempt.record.state == RedemptionState.FUNDED:
        _require_false_record(attempt)
    elif attempt.record.long_stop_on >= today():
        raise Conflict("long_stop_ahead", f"The long stop is {attempt.record.long_stop_on}.")


def _require_false_record(attempt: Try) -> None:
    require_reason(attempt)
    session, redemption = attempt.session, attempt.record
    if record_stands(session, redemption):
        raise Conflict(
            "record_block_stands",
            f"At block {redemption.record_block} held who is to be paid; the price is funded.",
            remedy="Pay it; only what would pay others than held is aborted once it is funded.",
        )
    assert not list_payouts(session, redemption.id, state=PayoutState.PAID, limit=1), "not PAYING"


@guard(MACHINE, "all_paid")
def every_paisa_has_a_payee(attempt: Try) -> None:
    """RED-01: what is paid and what is held make what was funded."""
    payouts = list_payouts(attempt.session, attempt.record.id)
    if any(payout.state == PayoutState.DUE for payout in payouts):
        raise Conflict("payouts_due", "Payouts are still due.")
    settled = sum(payout.amount_paisa for payout in payouts)
    if settled != attempt.record.funded_paisa:
        raise Conflict(
            "payouts_do_not_sum",
            f"{settled} paisa are paid or held, {attempt.record.funded_paisa} are funded.",
            rule="RED-01",
        )


@guard(MACHINE, "burn")
def nothing_is_left(attempt: Try) -> None:
    """The supply is burned, the asset retired, and the title is out of the wrapper's hands."""
    session = attempt.session
    if attempt.given["supply_units"] != 0:
        raise Conflict(
            "supply_not_burned",
            f"{attempt.given['supply_units']} fractions still stand on chain.",
            remedy="They are burned by an approved instruction; the chain must show it.",
        )
    tokenization = tokenizations.get_tokenization(session, attempt.record.tokenization_id)
    asset = assets.get_asset(session, tokenization.asset_id)
    if asset.state != AssetState.RETIRED:
        raise Conflict("asset_not_retired", f"The asset is {asset.state}, not RETIRED.")
    wrapper = wrappers.find_wrapper(session, asset.id)
    version = titles.current_version(session, titles.title_of_asset(session, asset.id).id)
    if wrapper is not None and titles.ownership_of(session, version).fraction_of(wrapper.party_id):
        raise Conflict("title_in_wrapper", "The title still stands in the wrapper's name.")


@guard("tokenization", "start_redemption")
def redemption_is_approved(attempt: Attempt[Tokenization]) -> None:
    redemption = attempt.given.get("redemption")
    approved = (
        isinstance(redemption, Redemption)
        and redemption.tokenization_id == attempt.record.id
        and redemption.state == RedemptionState.APPROVED
    )
    if not approved:
        raise Conflict("redemption_not_approved", "No redemption of this token is approved.")


@guard("tokenization", "redemption_aborted", "redemption_settled")
def supply_is_as_it_must_be(attempt: Attempt[Tokenization]) -> None:
    """Whole where the redemption is aborted, nothing where it is settled."""
    aborted = attempt.event == "redemption_aborted"
    wanted = attempt.record.declared_fractions if aborted else 0
    if attempt.given["supply_units"] != wanted:
        raise Conflict(
            "supply_not_as_expected",
            f"The supply is {attempt.given['supply_units']}, not {wanted} (rule TOK-02).",
            rule="TOK-02",
        )
