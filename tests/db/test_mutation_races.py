"""Two people at one moment on one title: nobody's share is lost, and none is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
from sqlmodel import Session, func, select

from registry.asset.models import Asset
from registry.document.store import DocumentStore
from registry.encumbrance.models import Encumbrance, EncumbranceKind
from registry.encumbrance.service import NewEncumbrance, lodge_encumbrance
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.kernel.vault import Vault
from registry.mutation import service as mutations
from registry.mutation.forms import NewMutation
from registry.mutation.models import Initiation, Mutation, MutationKind, MutationState
from registry.party.models import Party
from registry.title import service as titles
from registry.title.models import Title, TitleState, TitleVersion
from registry.tokenization.liens import put_encumbrance_in_force
from tests import deeds
from tests import factories as make
from tests.api.town import lodge
from tests.db.races import meanwhile, together
from tests.factories import CHECKER, MAKER, Desk

pytestmark = pytest.mark.db

DeskMaker = Callable[[Session], Desk]
OTHER_MAKER = make.actor(Role.REGISTRAR_MAKER)
OTHER_CHECKER = make.actor(Role.REGISTRAR_CHECKER)


@pytest.fixture
def desk_of(vault: Vault, store: DocumentStore) -> DeskMaker:
    return lambda session: Desk(session, vault, store)


def enter(title: Title, new: NewMutation, who: Actor = MAKER) -> Callable[[Session], Mutation]:
    return lambda session: mutations.lodge_mutation(session, who, title.id, new)


def implement(mutation: Mutation, who: Actor = CHECKER) -> Callable[[Session], Mutation]:
    return lambda session: mutations.implement_mutation(
        session, who, mutation.id, appeal_filed=False
    )


def codes(outcomes: list[Mutation | Exception]) -> list[str]:
    return sorted(
        outcome.code if isinstance(outcome, Conflict) else type(outcome).__name__
        for outcome in outcomes
    )


def share(database: Database, title: Title, party: Party) -> Fraction:
    with database.reading() as session:
        version = titles.current_version(session, title.id)
        ownership = titles.ownership_of(session, version)
        assert sum(ownership.fraction_of(row.party_id) for row in ownership.shares) == 1
        return ownership.fraction_of(party.id)


def count(database: Database, table: type[Mutation | TitleVersion]) -> int:
    with database.reading() as session:
        return session.exec(select(func.count()).select_from(table)).one()


def test_lodge__two_at_one_moment__one_is_entered(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        title, seller, other = deeds.half_and_half(desk)
        buyer = make.person(desk)
        first, second = deeds.sale(seller, buyer), deeds.sale(other, buyer)

    outcomes = together(fresh_database, [enter(title, first), enter(title, second, OTHER_MAKER)])

    assert codes(outcomes) == ["Mutation", "mutation_open"]
    assert count(fresh_database, Mutation) == 1


def test_lodge__same_share_twice__is_sold_once(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        title, seller, _ = deeds.half_and_half(desk)
        buyers = [make.person(desk) for _ in range(2)]
        sales = [deeds.sale(seller, buyer, Fraction(1, 2)) for buyer in buyers]

    outcomes = together(fresh_database, [enter(title, new) for new in sales])
    assert codes(outcomes) == ["Mutation", "mutation_open"]
    [winner] = [outcome for outcome in outcomes if isinstance(outcome, Mutation)]
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        deeds.implemented(desk, mutations.get_mutation(session, winner.id))

    with pytest.raises(Conflict, match="share_exceeded"), fresh_database.transaction() as session:
        enter(title, replace(sales[0], number="again"))(session)
    bought = [share(fresh_database, title, buyer) for buyer in buyers]
    assert sorted(bought) == [0, Fraction(1, 2)]
    assert share(fresh_database, title, seller) == 0


def attested(desk: Desk) -> tuple[Title, Party, Party, Mutation]:
    title, seller, _ = deeds.half_and_half(desk)
    buyer = make.person(desk)
    mutation = deeds.entered(desk, title, deeds.sale(seller, buyer))
    return title, seller, buyer, deeds.attested(desk, mutation)


def test_implement__two_at_one_moment__shares_pass_once(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        title, seller, buyer, mutation = attested(desk_of(session))
        versions = session.exec(select(func.count()).select_from(TitleVersion)).one()

    outcomes = together(fresh_database, [implement(mutation), implement(mutation, OTHER_CHECKER)])

    assert codes(outcomes) == ["Mutation", "transition_refused"]
    assert share(fresh_database, title, buyer) == Fraction(1, 4)
    assert share(fresh_database, title, seller) == Fraction(1, 4)
    assert count(fresh_database, TitleVersion) == versions + 2


def test_implement__while_a_stay_comes_into_force__is_refused(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        title, _, buyer, mutation = attested(desk)
        asset = session.get_one(Asset, title.asset_id)
        stay = lodge(desk, asset, EncumbranceKind.STAY_ORDER)

    with fresh_database.transaction() as session:
        put_encumbrance_in_force(session, CHECKER, stay.id)
        with meanwhile(fresh_database, implement(mutation)) as waiting:
            session.commit()
    with pytest.raises(Conflict, match="transfer_blocked"):
        waiting.result()
    assert share(fresh_database, title, buyer) == 0


def test_stay__while_a_mutation_is_implemented__comes_after_it(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        title, _, buyer, mutation = attested(desk)
        asset = session.get_one(Asset, title.asset_id)
        stay = lodge(desk, asset, EncumbranceKind.STAY_ORDER)

    def register(session: Session) -> Encumbrance:
        return put_encumbrance_in_force(session, CHECKER, stay.id)

    with fresh_database.transaction() as session:
        implement(mutation)(session)
        with meanwhile(fresh_database, register) as waiting:
            session.commit()
    assert waiting.result().state == "ACTIVE"
    assert share(fresh_database, title, buyer) == Fraction(1, 4)


def test_implement__and_a_mortgage_at_one_moment__both_stand(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        title, _, buyer, mutation = attested(desk)
        asset = session.get_one(Asset, title.asset_id)
        mortgage = lodge(desk, asset, EncumbranceKind.MORTGAGE)

    outcomes: list[object] = list(
        together(
            fresh_database,
            [
                implement(mutation),
                lambda session: put_encumbrance_in_force(session, CHECKER, mortgage.id),
            ],
        )
    )

    assert [type(outcome).__name__ for outcome in outcomes] == ["Mutation", "Encumbrance"]
    assert share(fresh_database, title, buyer) == Fraction(1, 4)


def stayed(desk: Desk) -> tuple[Title, Mutation]:
    """Give a title, and the sale of a half of it, which a court has stayed."""
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    deeds.verified(desk, mutation)
    mutations.stay_mutation(desk.session, deeds.REVENUE_OFFICER, mutation.id, reason="Suit 1/2026")
    return title, mutation


def dispute(title: Title) -> Callable[[Session], Title]:
    def act(session: Session) -> Title:
        return titles.dispute_title(
            session, make.COMPLIANCE, title.id, reference="Suit 1/2026", reason="A suit."
        )

    return act


def test_dispute__while_a_mutation_is_lodged__sees_it(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        title, seller, _ = deeds.half_and_half(desk)
        new = deeds.sale(seller, make.person(desk))

    with fresh_database.transaction() as session:
        enter(title, new)(session)
        with meanwhile(fresh_database, dispute(title)) as waiting:
            session.commit()
    with pytest.raises(Conflict, match="mutation_not_stayed"):
        waiting.result()
    with fresh_database.reading() as session:
        assert titles.get_title(session, title.id).state == TitleState.MUTATION_PENDING


def test_reject__while_its_title_is_disputed__leaves_the_dispute(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        title, mutation = stayed(desk_of(session))

    def reject(session: Session) -> Mutation:
        return mutations.reject_mutation(
            session, deeds.REVENUE_OFFICER, mutation.id, order_text="Refused."
        )

    with fresh_database.transaction() as session:
        dispute(title)(session)
        with meanwhile(fresh_database, reject) as waiting:
            session.commit()
    assert waiting.result().state == MutationState.REJECTED
    with fresh_database.reading() as session:
        assert titles.get_title(session, title.id).state == TitleState.DISPUTED


def test_dispute__while_its_mutation_is_resumed__finds_it_open(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        title, mutation = stayed(desk_of(session))

    with fresh_database.transaction() as session:
        mutations.resume_mutation(session, deeds.REVENUE_OFFICER, mutation.id)
        with meanwhile(fresh_database, dispute(title)) as waiting:
            session.commit()
    with pytest.raises(Conflict, match="mutation_not_stayed"):
        waiting.result()


def test_lodge_lien__while_its_title_is_divided__finds_it_ended(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        title, one, other = deeds.half_and_half(desk)
        halves = [
            deeds.draft_farm(desk, make.owned_by(who), area=(4, 0, "0")) for who in (one, other)
        ]
        new = NewMutation(
            kind=MutationKind.PARTITION,
            initiation=Initiation.REGISTERED_DEED,
            number=deeds.number(),
            result_asset_ids=[half.id for half in halves],
        )
        mutation = deeds.attested(desk, deeds.entered(desk, title, new))
        paper = make.file_document(desk, session.get_one(Asset, title.asset_id), "NOTICE")
        caveat = NewEncumbrance(kind=EncumbranceKind.CAVEAT, source_document_id=paper.id)

    def lodge_caveat(session: Session) -> Encumbrance:
        return lodge_encumbrance(session, MAKER, title.id, caveat)

    with fresh_database.transaction() as session:
        implement(mutation)(session)
        with meanwhile(fresh_database, lodge_caveat) as waiting:
            session.commit()
    with pytest.raises(Conflict, match="title_ended"):
        waiting.result()


def test_withdraw__while_it_is_completed__waits_and_is_refused(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        title, seller, _ = deeds.half_and_half(desk)
        mutation = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))

    def withdraw(session: Session) -> Mutation:
        return mutations.withdraw_mutation(session, MAKER, mutation.id)

    with fresh_database.transaction() as session:
        deeds.completed(desk_of(session), mutation)
        with meanwhile(fresh_database, withdraw) as waiting:
            session.commit()
    with pytest.raises(Conflict, match="transition_refused"):
        waiting.result()
    with fresh_database.reading() as session:
        left = mutations.get_mutation(session, mutation.id).state
    assert left == MutationState.FIELD_VERIFICATION
