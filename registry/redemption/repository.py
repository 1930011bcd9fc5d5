"""Finding redemptions, their votes and their payouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable import service as captable
from registry.captable.models import EventKind, TokenEvent
from registry.captable.supply import supply_at
from registry.journal.models import JournalEntry
from registry.kernel.errors import Conflict
from registry.kernel.rows import get_row
from registry.reconciliation.views import TokenView, look_at
from registry.redemption import rules
from registry.redemption.models import PayoutState, Redemption, RedemptionPayout, RedemptionVote
from registry.tokenization.models import Tokenization


@dataclass(frozen=True, slots=True)
class Tally:
    """How a vote stands, in fractions of the token."""

    in_favour_units: int
    against_units: int
    supply_units: int

    @property
    def carried(self) -> bool:
        return rules.is_carried(self.in_favour_units, self.supply_units)

    @property
    def lost(self) -> bool:
        return rules.is_lost(self.against_units, self.supply_units)


def get_redemption(session: Session, redemption_id: UUID, *, lock: bool = False) -> Redemption:
    """Return the redemption.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Redemption, redemption_id, kind="redemption", lock=lock)


def list_redemptions(session: Session, tokenization_id: UUID) -> Sequence[Redemption]:
    """List the redemptions of a token, oldest first."""
    return session.exec(
        select(Redemption)
        .where(col(Redemption.tokenization_id) == tokenization_id)
        .order_by(col(Redemption.id))
    ).all()


def list_votes(session: Session, redemption_id: UUID) -> Sequence[RedemptionVote]:
    """List the votes that were cast, oldest first."""
    return session.exec(
        select(RedemptionVote)
        .where(col(RedemptionVote.redemption_id) == redemption_id)
        .order_by(col(RedemptionVote.id))
    ).all()


def tally(session: Session, redemption: Redemption) -> Tally:
    """Count the votes."""
    votes = list_votes(session, redemption.id)
    return Tally(
        in_favour_units=sum(int(vote.units) for vote in votes if vote.in_favour),
        against_units=sum(int(vote.units) for vote in votes if not vote.in_favour),
        supply_units=int(redemption.vote_supply_units or 0),
    )


def list_payouts(
    session: Session,
    redemption_id: UUID,
    *,
    state: PayoutState | None = None,
    after: bytes | None = None,
    limit: int | None = None,
) -> Sequence[RedemptionPayout]:
    """List who is paid what, by address.

    Parameters
    ----------
    after
        The address behind which the list goes on.
    """
    query = select(RedemptionPayout).where(
        col(RedemptionPayout.redemption_id) == redemption_id,
        col(RedemptionPayout.address) > (after or b""),
    )
    if state is not None:
        query = query.where(col(RedemptionPayout.state) == state)
    return session.exec(query.order_by(col(RedemptionPayout.address)).limit(limit)).all()


def get_payout(session: Session, payout_id: UUID, *, lock: bool = False) -> RedemptionPayout:
    """Return one payout.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, RedemptionPayout, payout_id, kind="payout", lock=lock)


def supply_of(session: Session, tokenization: Tokenization) -> int:
    """Return how many fractions the newest projected block shows."""
    view = look_at(session, tokenization.id)
    return supply_at(session, view.token, view.block)


def stands_still(session: Session, view: TokenView) -> bool:
    """Tell whether a token was paused at the block of a view, and nothing of it moved since.

    Holders cannot move what is paused; a forced act can.
    """
    since = select(TokenEvent.block_number).where(
        col(TokenEvent.token_no) == view.token.token_no,
        col(TokenEvent.kind).in_([EventKind.UNPAUSED, EventKind.TRANSFER]),
        col(TokenEvent.block_number) > view.block.number,
    )
    if session.exec(since.limit(1)).first() is not None:
        return False
    return captable.is_paused_at(session, view.token, view.block)


def record_stands(session: Session, redemption: Redemption) -> bool:
    """Tell whether the record block still says who is paid for how much."""
    assert redemption.record_block is not None, "its cap table is frozen"
    view = look_at(session, redemption.tokenization_id, redemption.record_block)
    held = [(entry.address, entry.balance_units) for entry in view.entries]
    return held == [
        (each.address, int(each.units)) for each in list_payouts(session, redemption.id)
    ]


def require_record(session: Session, redemption: Redemption) -> None:
    """Make sure that the record block still says who is paid for how much.

    Raises
    ------
    Conflict
        ``record_block_differs``.
    """
    if not record_stands(session, redemption):
        raise Conflict(
            "record_block_differs",
            f"At block {redemption.record_block} others held, or other parts, than are to be paid.",
            remedy="Have the token read again by `milkiyat reconcile --repair`. If it still"
            " differs, have compliance abort the redemption: nothing of it is paid.",
        )


def pause_reason(redemption: Redemption) -> str:
    """Give the reason for which an approved redemption pauses its token."""
    return f"redemption {redemption.id}"


def has_paused(session: Session, redemption: Redemption) -> bool:
    """Tell whether the token was paused for this redemption, and not for something before it."""
    found = session.exec(
        select(JournalEntry.id).where(
            col(JournalEntry.subject_id) == str(redemption.tokenization_id),
            col(JournalEntry.act) == "tokenization_pause",
            col(JournalEntry.facts)["reason"].as_string() == pause_reason(redemption),
        )
    )
    return found.first() is not None
