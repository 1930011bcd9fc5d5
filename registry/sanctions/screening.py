"""Looking for parties on the list that counts: one by one, or all, a batch at a time.

Who was screened as what against which edition is a row of its own. So a new edition, and whoever
is recorded or amended, are due by that alone, and a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, func, or_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.ids import new_id
from registry.kernel.rows import among
from registry.kernel.vault import SealBroken, Vault
from registry.party.details import Details, known_of
from registry.party.models import Party, PartyKind
from registry.sanctions.lists import find_current
from registry.sanctions.matching import Index, Listed, Subject
from registry.sanctions.models import (
    HitState,
    SanctionsEntry,
    SanctionsHit,
    SanctionsList,
    SanctionsScreening,
)
from registry.sanctions.names import read_name
from registry.sanctions.policy import screening_policy
from registry.title.owners import parties_behind

log = structlog.get_logger()

BATCH = 200
Read = tuple[Index, dict[UUID, SanctionsEntry]]
"""Every name of an edition, and its entries by id."""

SCREENED_KINDS = (PartyKind.NATURAL, PartyKind.LEGAL, PartyKind.GROUP)
"""An asset as a party has no name of its own; the members of a group are parties themselves."""


def read_index(
    session: Session, edition: SanctionsList
) -> tuple[Index, dict[UUID, SanctionsEntry]]:
    """Read every name of an edition."""
    entries = session.exec(
        select(SanctionsEntry).where(col(SanctionsEntry.list_id) == edition.id)
    ).all()
    listed = [
        Listed(
            entry_id=entry.id,
            name=read_name(name["text"]),
            is_weak=name["is_weak"],
            births=tuple((first, last) for first, last in entry.births),
            nationalities=frozenset(entry.nationalities),
        )
        for entry in entries
        for name in entry.names
    ]
    return Index(listed, screening_policy()), {entry.id: entry for entry in entries}


def screen_party(session: Session, vault: Vault, party_id: UUID) -> Sequence[SanctionsHit]:
    """Screen a party and everybody behind it now; return the hits that are new.

    Whoever stands as they were screened is left out.
    """
    edition = find_current(session)
    due = _due_behind(session, edition, party_id) if edition else []
    if edition is None or not due:
        return []
    read = read_index(session, edition)
    found = (session.get_one(Party, each) for each in due)
    return [hit for party in found for hit in _screen(session, vault, party, edition, read)]


def _due_behind(session: Session, edition: SanctionsList, party_id: UUID) -> Sequence[UUID]:
    behind = parties_behind(session, [party_id])
    return session.exec(_due(edition).where(among(col(Party.id), behind))).all()


def is_screened(session: Session, party_id: UUID) -> bool:
    """Tell whether a party and everybody behind it were screened against the edition that counts.

    Who was amended since was not screened as they stand.
    """
    edition = find_current(session)
    return edition is None or not _due_behind(session, edition, party_id)


def _due(edition: SanctionsList) -> SelectOfScalar[UUID]:
    return (
        select(Party.id)
        .outerjoin(SanctionsScreening, col(SanctionsScreening.party_id) == col(Party.id))
        .where(col(Party.kind).in_(SCREENED_KINDS), _not_screened(edition))
        .order_by(col(Party.id))
    )


def _not_screened(edition: SanctionsList) -> ColumnElement[bool]:
    return or_(
        col(SanctionsScreening.party_id).is_(None),
        col(SanctionsScreening.list_id) != edition.id,
        and_(
            col(SanctionsScreening.list_id) == edition.id,
            col(SanctionsScreening.party_version) != col(Party.version),
        ),
    )


def of_screened(edition: SanctionsList) -> SelectOfScalar[Party]:
    """Ask for the parties that stand as they were screened against an edition, as is noted."""
    return (
        select(Party)
        .join(SanctionsScreening, col(SanctionsScreening.party_id) == col(Party.id))
        .where(col(Party.kind).in_(SCREENED_KINDS), ~_not_screened(edition))
    )


def count_left(session: Session, edition: SanctionsList) -> int:
    """Count who is still to be screened against the edition that counts."""
    return session.exec(select(func.count()).select_from(_due(edition).subquery())).one()


def screen_due(database: Database, vault: Vault, *, batch: int = BATCH) -> int:
    """Screen some of those who are due, in one transaction, and return how many they were."""
    with database.transaction() as session:
        edition = find_current(session)
        if edition is None:
            return 0
        query = select(Party).where(col(Party.id).in_(_due(edition).limit(batch)))
        # Another worker's batch is left alone; whoever amends a party comes after us.
        found = session.exec(query.with_for_update(skip_locked=True, key_share=True)).all()
        if not found:
            return 0
        read = read_index(session, edition)
        screened = 0
        for party in found:
            try:
                _screen(session, vault, party, edition, read)
                screened += 1
            except SealBroken:
                # They stay due, so that nobody takes them for screened.
                log.exception("screening_seal_broken", party_id=str(party.id))
        return screened


def _screen(
    session: Session,
    vault: Vault,
    party: Party,
    edition: SanctionsList,
    read: Read,
) -> list[SanctionsHit]:
    party_print, found = matches_of(vault, party, read)
    new = []
    for entry, score in found:
        added = session.scalars(
            insert(SanctionsHit)
            .values(
                id=new_id(),
                recorded_at=now(),
                party_id=party.id,
                entry_id=entry.id,
                reference=entry.reference,
                party_print=party_print,
                entry_sha256=entry.entry_sha256,
                score=score,
                state=HitState.OPEN,
            )
            # Decided or waiting already, and neither side has changed.
            .on_conflict_do_nothing(constraint="uq_sanctions_hit_pair")
            .returning(SanctionsHit)
        ).first()
        if added is not None:
            new.append(added)
            journal.record(
                session, THE_SYSTEM, "sanctions_hit_found", "sanctions_hit", added.id,
                party_id=str(party.id), reference=entry.reference, score=score,
            )  # fmt: skip
    _note(session, party, edition)
    return new


def matches_of(
    vault: Vault, party: Party, read: Read
) -> tuple[bytes, list[tuple[SanctionsEntry, int]]]:
    """Give the hash of what is compared of a party, and the entries that it matches, with scores.

    Raises
    ------
    SealBroken
    """
    index, entries = read
    known = known_of(vault, party)
    matches = index.matches(_subject(party, known))
    return _print(vault, known), [(entries[each], score) for each, score in matches.items()]


def _note(session: Session, party: Party, edition: SanctionsList) -> None:
    said = {"list_id": edition.id, "party_version": party.version, "screened_at": now()}
    session.execute(
        insert(SanctionsScreening)
        .values(party_id=party.id, **said)
        .on_conflict_do_update(index_elements=["party_id"], set_=said)
    )


def _subject(party: Party, known: Details) -> Subject:
    names = tuple(name for name in (known.name, known.name_ur) if name)
    year = known.dob.year if known.dob else None
    nationality = known.nationality if party.kind == PartyKind.NATURAL else None
    return Subject(names, year, nationality)


def _print(vault: Vault, known: Details) -> bytes:
    """Return the keyed hash of what is compared of a party: it tells only whether that changed."""
    said = [known.name, known.name_ur, str(known.dob), known.nationality]
    return vault.fingerprint(f"screening:{json.dumps(said)}")
