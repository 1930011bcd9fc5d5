"""Persons in a report: opened one by one, noted for the journal, masked by their columns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.kernel.masking import mask_cnic, mask_name
from registry.party.details import cnic_of, known_of
from registry.party.models import NAMED_OPENLY, Party
from registry.report.report import Column, Open, Question


@dataclass(frozen=True, slots=True)
class Person:
    """What reports tell of a party; nobody is a wallet that belongs to no party we know."""

    party_id: UUID | None = None
    name: str | None = None
    father_or_spouse: str | None = None
    cnic: str | None = None


NOBODY = Person()


def name_column(name: str) -> Column:
    return Column(name, personal=mask_name)


def cnic_column(name: str = "cnic") -> Column:
    return Column(name, personal=mask_cnic)


def person_of(question: Question[Any], party: Party | None) -> Person:
    """Open what is known of a party."""
    if party is None:
        return NOBODY
    question.parties.add(party.id)
    known = known_of(question.vault, party)
    assert known.name is not None, "everybody has a name"
    name = Open(known.name) if party.kind in NAMED_OPENLY else known.name
    return Person(party.id, name, known.father_or_spouse_name, cnic_of(question.vault, party))


def people_of(
    session: Session, question: Question[Any], party_ids: Collection[UUID | None]
) -> dict[UUID | None, Person]:
    """Open what is known of several parties, in one statement; None is nobody."""
    wanted = {party_id for party_id in party_ids if party_id is not None}
    found = session.exec(select(Party).where(col(Party.id).in_(wanted))).all() if wanted else ()
    return {None: NOBODY} | {party.id: person_of(question, party) for party in found}
