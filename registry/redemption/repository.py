"""Finding redemptions, their votes and their payouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session, col, select

from registry.journal.models import JournalEntry
from registry.kernel.rows import get_row
from registry.redemption import rules
from registry.redemption.models import PayoutState, Redemption, RedemptionPayout, RedemptionVote


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
