"""Everything that is read of mutations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.journal.models import JournalEntry
from registry.kernel.rows import get_row, page_after
from registry.mutation.models import (
    CLOSED,
    Mutation,
    MutationParty,
    MutationState,
    MutationTitle,
    Part,
    TitlePart,
)
from registry.mutation.rules import Transfer
from registry.title import service as titles
from registry.title.models import Title


def get_mutation(session: Session, mutation_id: UUID, *, lock: bool = False) -> Mutation:
    """Return the mutation.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Mutation, mutation_id, kind="mutation", lock=lock)


def find_open(session: Session, title_id: UUID) -> Mutation | None:
    """Return the one mutation of the title that waits for somebody, if there is one."""
    return session.exec(
        select(Mutation)
        .join(MutationTitle, col(MutationTitle.mutation_id) == col(Mutation.id))
        .where(col(MutationTitle.title_id) == title_id, col(Mutation.state).not_in(CLOSED))
    ).first()


def find_division(session: Session, title_id: UUID) -> Mutation | None:
    """Return the open partition or consolidation out of which the title is to come."""
    return session.exec(
        select(Mutation)
        .join(MutationTitle, col(MutationTitle.mutation_id) == col(Mutation.id))
        .where(
            col(MutationTitle.title_id) == title_id,
            col(MutationTitle.part) == TitlePart.RESULT,
            col(Mutation.state).not_in(CLOSED),
        )
    ).first()


def find_reversal(session: Session, mutation_id: UUID) -> Mutation | None:
    """Return the attested mutation that will undo this one, if there is one."""
    return session.exec(
        select(Mutation).where(
            col(Mutation.reverses_id) == mutation_id,
            col(Mutation.state) == MutationState.ATTESTED,
        )
    ).first()


def list_mutations(
    session: Session, title_id: UUID, *, after: UUID | None = None, limit: int | None = None
) -> Sequence[Mutation]:
    """List the mutations that ever touched the title, oldest first."""
    query = (
        select(Mutation)
        .join(MutationTitle, col(MutationTitle.mutation_id) == col(Mutation.id))
        .where(col(MutationTitle.title_id) == title_id)
    )
    return session.exec(page_after(query, col(Mutation.id), after=after, limit=limit)).all()


def parties_of(session: Session, mutation_id: UUID, part: Part) -> Sequence[MutationParty]:
    """List who has this part in the mutation, as they were named."""
    return session.exec(
        select(MutationParty)
        .where(col(MutationParty.mutation_id) == mutation_id, col(MutationParty.part) == part)
        .order_by(col(MutationParty.id))
    ).all()


def transfer_of(session: Session, mutation: Mutation) -> Transfer:
    """Return what passes, in parts of the whole."""

    def parts(part: Part) -> dict[UUID, Fraction]:
        return {
            row.party_id: Fraction(row.hissa or 0, mutation.kul_hissay)
            for row in parties_of(session, mutation.id, part)
        }

    return Transfer(parts(Part.SELLER), parts(Part.BUYER))


def titles_of(session: Session, mutation_id: UUID, part: TitlePart) -> list[Title]:
    """Return the titles that have this part in the mutation, in the order of their ids."""
    return list(
        session.exec(
            select(Title)
            .join(MutationTitle, col(MutationTitle.title_id) == col(Title.id))
            .where(col(MutationTitle.mutation_id) == mutation_id, col(MutationTitle.part) == part)
            .order_by(col(Title.id))
        ).all()
    )


def lock_titles(session: Session, title_ids: Sequence[UUID]) -> list[Title]:
    """Lock titles and their assets, everybody in one order so that nobody waits in a circle.

    The assets first: an encumbrance that comes into force and a step of a tokenization lock the
    asset too, and so come before this mutation or after it, never in between.
    """
    found = [titles.get_title(session, title_id) for title_id in title_ids]
    for asset_id in sorted(title.asset_id for title in found):
        assets.get_asset(session, asset_id, lock=True)
    return [titles.get_title(session, title.id, lock=True) for title in found]


def returned_at(session: Session, mutation: Mutation) -> datetime | None:
    """Return when a mutation was last sent back to its maker."""
    return session.exec(
        select(func.max(JournalEntry.recorded_at)).where(
            col(JournalEntry.subject_id) == str(mutation.id),
            col(JournalEntry.act) == "mutation_return",
        )
    ).one()
