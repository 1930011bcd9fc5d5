"""Whether a paused token may be opened again."""

from __future__ import annotations

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import AssetState
from registry.kernel.errors import Conflict
from registry.lifecycle.service import Attempt, guard
from registry.reconciliation.payable import require_no_break
from registry.redemption.models import ENDED, Redemption, RedemptionState
from registry.title import service as titles
from registry.title.models import TitleState
from registry.tokenization.guards import MACHINE
from registry.tokenization.models import Tokenization
from registry.wrapper import service as wrappers

_UNDECIDED = (RedemptionState.REQUESTED, RedemptionState.VALIDATED, RedemptionState.VOTED)

Try = Attempt[Tokenization]


@guard(MACHINE, "unpause")
def asset_is_registered(attempt: Try) -> None:
    """The state machine's guard: a suspended asset is reinstated first."""
    asset = assets.get_asset(attempt.session, attempt.record.asset_id, lock=True)
    if asset.state != AssetState.REGISTERED:
        raise Conflict(
            "asset_not_registered",
            f"The asset is {asset.state}; its token stays paused.",
            remedy="Close what suspended it and reinstate it first.",
        )


@guard(MACHINE, "unpause")
def title_is_the_wrappers(attempt: Try) -> None:
    """Nobody trades what rests on no title, or on one that is somebody else's by now (WRP-01)."""
    session, tokenization = attempt.session, attempt.record
    title = titles.title_of_asset(session, tokenization.asset_id)
    if title.state != TitleState.ACTIVE:
        raise Conflict("title_not_active", f"The title is {title.state}; its token stays paused.")
    ownership = titles.ownership_of(session, titles.current_version(session, title.id))
    wrapper = wrappers.find_wrapper(session, tokenization.asset_id)
    held = ownership.fraction_of(wrapper.party_id) if wrapper else 0
    if held < tokenization.economic_share:
        raise Conflict(
            "wrapper_not_owner",
            f"The wrapper holds {held} of the title, {tokenization.economic_share} is needed.",
            remedy="Redeem and burn the token, or have the title pass back to the wrapper.",
            rule="WRP-01",
        )


@guard(MACHINE, "unpause")
def no_break_is_open(attempt: Try) -> None:
    """The state machine's guard: nobody trades what does not add up."""
    require_no_break(attempt.session, attempt.record)


@guard(MACHINE, "unpause")
def no_redemption_holds_it(attempt: Try) -> None:
    """An approved redemption pays the cap table of a token that stands still."""
    if find_binding(attempt.session, attempt.record) is not None:
        raise Conflict(
            "redemption_under_way",
            "A redemption of this token is approved; it is paused until that ends.",
            remedy="Let the redemption settle, or abort it after its long stop.",
        )


def find_binding(session: Session, tokenization: Tokenization) -> Redemption | None:
    """Return the redemption of the token that is decided and has not ended."""
    return session.exec(
        select(Redemption).where(
            col(Redemption.tokenization_id) == tokenization.id,
            col(Redemption.state).not_in([*ENDED, *_UNDECIDED]),
        )
    ).first()
