"""Lists of sanctions and hits over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from sqlmodel import Session

from api.schemas.common import Body, LongText, OfPerson, Read
from api.schemas.free_text import FreeText
from registry.kernel.vault import Vault
from registry.party.details import masked_name
from registry.party.models import Party
from registry.sanctions.lists import find_current, get_entry
from registry.sanctions.models import HitState, ListedKind, SanctionsHit, SanctionsList, Verdict
from registry.sanctions.screening import count_left


class SanctionsListRead(Read):
    """An edition of the list; `left_parties` are still to be screened, if it is the one in use.

    One that `needs_confirmation` counts from `confirmed_at` on.
    """

    id: UUID
    recorded_at: datetime
    generated_at: datetime
    sha256: str
    size_bytes: int
    entries: int
    uploaded_by: str
    needs_confirmation: bool
    confirmed_by: str | None
    confirmed_at: datetime | None
    is_current: bool
    left_parties: int

    @classmethod
    def of(cls, session: Session, edition: SanctionsList) -> Self:
        current = find_current(session)
        is_current = current is not None and current.id == edition.id
        return cls(
            **edition.model_dump(exclude={"sha256"}),
            sha256=edition.sha256.hex(),
            is_current=is_current,
            left_parties=count_left(session, edition) if is_current else 0,
        )


class ListedName(Read):
    """A name as the list writes it; a weak alias is one that the list itself calls low."""

    text: str
    is_weak: bool


class SanctionsEntryRead(Read):
    """Whom the list names; `births` are first and last years."""

    kind: ListedKind
    reference: str
    names: list[ListedName]
    births: list[list[int]]
    nationalities: list[str]


class SanctionsHitRead(OfPerson):
    """A party that looks like an entry, in points of 100; `party_name` is masked."""

    id: UUID
    recorded_at: datetime
    party_id: UUID
    party_name: str
    entry: SanctionsEntryRead
    score: int
    state: HitState
    maker: str | None
    verdict: Verdict | None
    reason: FreeText | None
    checker: str | None
    decided_at: datetime | None
    decision_reason: FreeText | None

    @classmethod
    def of(cls, session: Session, vault: Vault, hit: SanctionsHit) -> Self:
        entry = get_entry(session, hit.entry_id)
        return cls(
            **hit.model_dump(exclude={"party_print", "entry_sha256", "entry_id", "reference"}),
            party_name=masked_name(vault, session.get_one(Party, hit.party_id)),
            entry=SanctionsEntryRead(**entry.model_dump()),
        )


class HitVerdict(Body):
    """What the first officer says that a hit is."""

    verdict: Verdict
    reason: LongText
