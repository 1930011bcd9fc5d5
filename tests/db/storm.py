"""What registrars do at random, and what must be true of the register whatever they did."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.asset.models import Asset, AssetState
from registry.encumbrance.models import Encumbrance, EncumbranceKind, EncumbranceState
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.mutation import service as mutations
from registry.mutation.models import Mutation, MutationState
from registry.onboarding import service as onboarding
from registry.party.models import Party
from registry.title import service as titles
from registry.title.models import Title
from registry.tokenization import service as tokenizations
from tests import deeds, liens, sales
from tests import factories as make
from tests.factories import MAKER, Desk
from tests.sales import Wrapped

Act = Callable[[Desk, random.Random], object]


@dataclass
class Town:
    """What there is to act on.

    Parameters
    ----------
    rivals
        Drafts that claim the same two apartments.
    """

    farms: list[UUID]
    rivals: list[UUID]
    wrapped: list[Wrapped]
    parties: list[UUID] = field(default_factory=list)


def found_town(desk: Desk) -> Town:
    farms = []
    parties = []
    for _ in range(3):
        title, one, other = deeds.half_and_half(desk)
        farms.append(title.id)
        parties += [one.id, other.id]
    rivals = []
    for number in range(6):
        key = f"APT|PK-PB|LAHORE|GULBERG-III|STORM|{1 + number % 2}"
        asset = make.open_apartment(desk, underlying_keys=[key])
        make.file_required(desk, asset)
        make.value(desk, asset)
        rivals.append(asset.id)
    wrapped = [sales.wrapped_apartment(desk) for _ in range(2)]
    return Town(farms, rivals, wrapped, parties)


class Registrars:
    """Every act picks its own victim; what the register refuses is refused."""

    def __init__(self, town: Town) -> None:
        self._town = town

    def acts(self) -> Sequence[Act]:
        return (
            self.sell, self.sell, self.go_on, self.go_on, self.go_on, self.go_on, self.withdraw,
            self.mortgage, self.stay, self.discharge, self.submit, self.decide, self.leave,
            self.tokenize, self.approve_terms,
        )  # fmt: skip

    def sell(self, desk: Desk, dice: random.Random) -> None:
        title = desk.session.get_one(Title, dice.choice(self._town.farms))
        seller = dice.choice(deeds.now_owned(desk, title).shares).party_id
        buyer = dice.choice(self._town.parties)
        part = Fraction(1, dice.choice([2, 3, 4, 8]))
        deeds.entered(desk, title, deeds.sale(_party(desk, seller), _party(desk, buyer), part))

    def go_on(self, desk: Desk, dice: random.Random) -> None:
        steps: Mapping[MutationState, Callable[[Desk, Mutation], object]] = {
            MutationState.ENTERED: deeds.completed,
            MutationState.FIELD_VERIFICATION: lambda desk, mutation: mutations.verify_mutation(
                desk.session, deeds.FIELD_VERIFIER, mutation.id
            ),
            MutationState.AWAITING_ATTESTATION: deeds.attest,
            MutationState.ATTESTED: deeds.implement,
        }
        query = select(Mutation).where(col(Mutation.state).in_(list(steps)))
        found = desk.session.exec(query).all()
        if found:
            mutation = dice.choice(found)
            steps[mutation.state](desk, mutation)

    def withdraw(self, desk: Desk, dice: random.Random) -> None:
        found = desk.session.exec(select(Mutation)).all()
        if found:
            mutations.withdraw_mutation(desk.session, MAKER, dice.choice(found).id)

    def mortgage(self, desk: Desk, dice: random.Random) -> None:
        liens.active(desk, self._any_asset(desk, dice), rank=dice.choice([1, 2]))

    def stay(self, desk: Desk, dice: random.Random) -> None:
        if dice.random() < 0.3:
            liens.active(desk, self._any_asset(desk, dice), EncumbranceKind.STAY_ORDER)

    def discharge(self, desk: Desk, dice: random.Random) -> None:
        query = select(Encumbrance).where(col(Encumbrance.state) == EncumbranceState.ACTIVE)
        found = desk.session.exec(query).all()
        if found:
            liens.discharged(desk, dice.choice(found))

    def submit(self, desk: Desk, dice: random.Random) -> None:
        onboarding.submit_dossier(desk.session, MAKER, dice.choice(self._town.rivals))

    def decide(self, desk: Desk, dice: random.Random) -> None:
        asset = desk.session.get_one(Asset, dice.choice(self._town.rivals))
        if asset.state == AssetState.IN_REVIEW:
            make.approve_all(desk, asset)

    def leave(self, desk: Desk, dice: random.Random) -> None:
        if dice.random() < 0.3:
            onboarding.withdraw_dossier(desk.session, MAKER, dice.choice(self._town.rivals))

    def tokenize(self, desk: Desk, dice: random.Random) -> None:
        wrapped = dice.choice(self._town.wrapped)
        sales.structured(desk, wrapped)

    def approve_terms(self, desk: Desk, dice: random.Random) -> None:
        wrapped = dice.choice(self._town.wrapped)
        for token in tokenizations.list_tokenizations(desk.session, wrapped.asset.id):
            sales.approve_terms(desk, token, dice.choice([Role.COMPLIANCE, Role.REGISTRAR_CHECKER]))

    def _any_asset(self, desk: Desk, dice: random.Random) -> Asset:
        farms = [desk.session.get_one(Title, farm).asset_id for farm in self._town.farms]
        ids = [*farms, *(item.asset.id for item in self._town.wrapped)]
        return desk.session.get_one(Asset, dice.choice(ids))


def _party(desk: Desk, party_id: UUID) -> Party:
    return desk.session.get_one(Party, party_id)


WRONG: Mapping[str, str] = {
    "SHR-01": """
        SELECT version.id FROM title_version AS version
        LEFT JOIN title_share AS share ON share.version_id = version.id
        GROUP BY version.id HAVING coalesce(sum(share.hissa), 0) <> version.kul_hissay""",
    "VER-01": """
        SELECT one.id FROM title_version AS one JOIN title_version AS other
        ON one.title_id = other.title_id AND one.id < other.id
        AND one.superseded_at IS NULL AND other.superseded_at IS NULL
        AND tstzrange(one.valid_from, one.valid_to)
            && tstzrange(other.valid_from, other.valid_to)""",
    "TTL-01": """
        SELECT title.id FROM title
        WHERE state IN ('ACTIVE', 'MUTATION_PENDING', 'DISPUTED') AND 1 <> (
            SELECT count(*) FROM title_version AS version WHERE version.title_id = title.id
            AND version.superseded_at IS NULL AND version.valid_to IS NULL)""",
    "KEY-01": """
        SELECT key FROM underlying_key WHERE live GROUP BY key HAVING count(*) > 1""",
    "MUT-01": """
        SELECT title_id FROM mutation
        WHERE state NOT IN ('IMPLEMENTED', 'REVERSED', 'REJECTED', 'WITHDRAWN')
        GROUP BY title_id HAVING count(*) > 1""",
    "title and mutation disagree": """
        SELECT title.id FROM title WHERE (state = 'MUTATION_PENDING') <> EXISTS (
            SELECT FROM mutation WHERE mutation.title_id = title.id
            AND mutation.state NOT IN ('IMPLEMENTED', 'REVERSED', 'REJECTED', 'WITHDRAWN'))""",
    "ENC-03": """
        SELECT title_id FROM encumbrance
        WHERE state IN ('ACTIVE', 'DISCHARGE_PENDING', 'ENFORCEMENT')
        AND kind IN ('MORTGAGE', 'CHARGE', 'PLEDGE')
        GROUP BY title_id, rank HAVING count(*) > 1""",
    "ENC-02": """
        SELECT asset.id FROM asset JOIN title ON title.asset_id = asset.id
        JOIN encumbrance ON encumbrance.title_id = title.id
        WHERE encumbrance.effect = 'BLOCK_ALL' AND encumbrance.state = 'ACTIVE'
        AND asset.state = 'REGISTERED'""",
    "APR-01": """
        SELECT subject_id FROM approval WHERE person = maker
        UNION ALL
        SELECT subject_id FROM approval GROUP BY subject_id, dossier_hash, person
        HAVING count(*) > 1""",
    "registered on fewer approvals than five": """
        SELECT asset.id FROM asset WHERE state = 'REGISTERED'
        AND asset_class = 'LAND_APARTMENT' AND 5 > (
            SELECT count(DISTINCT approval.person) FROM approval
            WHERE approval.subject_id = asset.id AND approval.dossier_hash = asset.dossier_hash)""",
    "TOK-01": """
        SELECT asset_id FROM tokenization WHERE state NOT IN ('BURNED', 'CANCELLED')
        GROUP BY asset_id HAVING count(*) > 1""",
}
"""By rule: a query that finds what breaks it, and nothing in a sound register."""


def broken(database: Database) -> set[str]:
    with database.reading() as session:
        return {
            rule for rule, sql in WRONG.items() if session.connection().execute(text(sql)).all()
        }


def whole_of(session: Session, title_id: UUID) -> Fraction:
    title = titles.get_title(session, title_id)
    owned = titles.ownership_of(session, titles.current_version(session, title.id))
    return sum((owned.fraction_of(share.party_id) for share in owned.shares), Fraction(0))
