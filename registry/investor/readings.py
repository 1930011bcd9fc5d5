"""Who looked at whom: the journal's entry of a reading of persons (report R-24)."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlmodel import Session, col, select

from registry.investor.models import Investor
from registry.investor.service import find_own_party
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.party.revealing import Reasons


def note_reading(
    session: Session,
    actor: Actor,
    subject: tuple[str, object],
    reasons: Reasons,
    *,
    rows: int,
    parties: Collection[UUID],
    investors: Collection[UUID] = (),
    revealed: bool = False,
    **more: int,
) -> None:
    """Write down who was told what of whom, and why; before it leaves the house.

    To read of oneself is no reading, and is not noted.

    Parameters
    ----------
    subject
        Kind and id of what was asked for: a record, or a list by the name of its route.
    parties, investors
        Of whom it tells: by party, or by their enrolment.
    """
    told = {*parties, *_parties_of(session, investors)}
    if told and told == {find_own_party(session, actor.person)}:
        return
    journal.record_reading(
        session, actor, "personal_data_read", subject, told,
        **reasons, roles=sorted(actor.roles), revealed=revealed, rows=rows, **more,
    )  # fmt: skip


def _parties_of(session: Session, investors: Collection[UUID]) -> Collection[UUID]:
    if not investors:
        return ()
    wanted = col(Investor.id).in_(investors)
    return session.exec(select(Investor.party_id).where(wanted)).all()
