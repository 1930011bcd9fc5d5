"""Companies and trusts, and who is declared to be behind them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from registry.interest import service as interests
from registry.interest.models import InterestNature
from registry.interest.rules import Interest
from registry.interest.service import Declared, NewDeclaration
from registry.party.group import Member
from registry.party.models import Party, PartyKind
from registry.party.service import NewParty
from registry.party.ubo import BeneficialOwner, OwnershipBasis
from registry.title.owners import record_party
from tests import deeds
from tests import factories as make
from tests.factories import CHECKER, MAKER, Desk

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SHAREHOLDER = InterestNature.SHAREHOLDER


def shares(whole: int, *owners: tuple[Party, int], **changes: Any) -> NewDeclaration:
    """State a company's shareholders, each with so many of `whole` shares."""
    new = NewDeclaration(
        declared_on=date(2020, 1, 1),
        valid_from=LONG_AGO,
        whole=whole,
        paper_sha256=bytes(32),
        interests=[Interest(party.id, SHAREHOLDER, parts) for party, parts in owners],
    )
    return replace(new, **changes)


def declare(desk: Desk, company: Party, new: NewDeclaration) -> Declared:
    """Record a declaration that is confirmed."""
    made = interests.declare_interests(desk.session, MAKER, company.id, new)
    return confirm(desk, company.id, made.declaration.id)


def confirm(desk: Desk, party_id: UUID, declaration_id: UUID) -> Declared:
    return interests.confirm_declaration(desk.session, CHECKER, party_id, declaration_id)


def company_of(desk: Desk, *people: Party) -> Party:
    part = Fraction(1, max(len(people), 2))
    return make.company(
        desk,
        ubo=[
            BeneficialOwner(party_id=each.id, fraction=part, basis=OwnershipBasis.DIRECT)
            for each in people
        ],
    )


def group_of(desk: Desk, *people: Party) -> Party:
    return make.person(
        desk,
        kind=PartyKind.GROUP,
        cnic=None,
        members=[Member(each.id, 1) for each in people],
    )


def land_of(desk: Desk, owner: Party) -> Party:
    """Record whoever owns a field of `owner`, for the time being, as a party."""
    title = deeds.farm(desk, make.owned_by(owner))
    stands_for = NewParty(
        kind=PartyKind.ASSET_AS_PARTY, name="The field in front", asset_id=title.asset_id
    )
    return record_party(desk.session, desk.vault, MAKER, stands_for)
