"""Persons in a report: opened as rows tell of them, noted for the journal, masked by columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    """Open what is known of a party, for the row that tells of it."""
    if party is None:
        return NOBODY
    question.parties.add(party.id)
    known = known_of(question.vault, party)
    assert known.name is not None, "everybody has a name"
    name = Open(known.name) if party.kind in NAMED_OPENLY else known.name
    return Person(party.id, name, known.father_or_spouse_name, cnic_of(question.vault, party))


class People(dict[UUID | None, Person]):
    """Persons by party, each opened and noted when the first row asks for it; None is nobody."""

    def __init__(self, question: Question[Any], parties: Mapping[UUID, Party]) -> None:
        super().__init__({None: NOBODY})
        self._question, self._parties = question, parties

    def __missing__(self, party_id: UUID) -> Person:
        self[party_id] = person = person_of(self._question, self._parties[party_id])
        return person


def people_of(
    session: Session, question: Question[Any], party_ids: Collection[UUID | None]
) -> People:
    """Read several parties in one statement, of whom rows tell: also those of one beyond a page."""
    wanted = {party_id for party_id in party_ids if party_id is not None}
    found = session.exec(select(Party).where(col(Party.id).in_(wanted))).all() if wanted else ()
    return People(question, {party.id: party for party in found})
