"""Two people at one moment, on the register's side: keys, approvals, liens, values, versions."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import Asset, AssetState, UnderlyingKey
from registry.document.store import DocumentStore
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import EncumbranceKind
from registry.encumbrance.service import NewEncumbrance
from registry.kernel import migrate
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import today
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, StaleVersion
from registry.kernel.vault import Vault
from registry.onboarding import service as onboarding
from registry.onboarding.models import Approval
from registry.onboarding.service import Dossier
from registry.rulebook.service import RulesRefused
from registry.title import service as titles
from registry.tokenization import service as tokenizations
from registry.tokenization.liens import put_encumbrance_in_force
from registry.tokenization.models import TokenizationState
from registry.valuation import service as valuations
from registry.valuation.models import Valuation, ValuationState
from tests import factories as make
from tests import sales
from tests.db.races import meanwhile, together
from tests.factories import ACTORS, CHECKER, COMPLIANCE, MAKER, Desk

pytestmark = pytest.mark.db

DeskMaker = Callable[[Session], Desk]


@pytest.fixture
def desk_of(vault: Vault, store: DocumentStore) -> DeskMaker:
    return lambda session: Desk(session, vault, store)


def submit(asset: Asset) -> Callable[[Session], bool]:
    """Submit, and tell whether the rules stopped it."""
    return lambda session: onboarding.submit_dossier(session, MAKER, asset.id).blocked


def ready(desk: Desk, keys: list[str]) -> Asset:
    asset = make.open_apartment(desk, underlying_keys=keys)
    make.file_required(desk, asset)
    return asset


def live_claims(database: Database) -> list[tuple[str, UUID]]:
    with database.reading() as session:
        return list(
            session.exec(
                select(UnderlyingKey.key, UnderlyingKey.asset_id).where(col(UnderlyingKey.live))
            ).all()
        )


# KEY-01


def test_key__two_dossiers_at_one_moment__one_holds_it(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        rivals = [ready(desk_of(session), ["APT|A|B|C"]) for _ in range(4)]

    blocked = together(fresh_database, [submit(asset) for asset in rivals])

    assert sorted(map(str, blocked)) == ["False", "True", "True", "True"]
    [(_, holder)] = live_claims(fresh_database)
    assert holder == rivals[blocked.index(False)].id


def test_key__first_commits_while_the_second_waits__second_is_requisitioned(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        first, second = (ready(desk_of(session), ["APT|A|B|C"]) for _ in range(2))

    with fresh_database.transaction() as session:
        onboarding.submit_dossier(session, MAKER, first.id)
        with meanwhile(fresh_database, submit(second)) as outcome:
            session.commit()
            assert outcome.result() is True

    assert live_claims(fresh_database) == [("APT|A|B|C", first.id)]
    with fresh_database.reading() as reader:
        assert assets.get_asset(reader, second.id).state == AssetState.REQUISITIONED


def test_key__first_gives_up_while_the_second_waits__second_holds_it(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        first, second = (ready(desk_of(session), ["APT|A|B|C"]) for _ in range(2))

    with Session(fresh_database.engine) as session:
        onboarding.submit_dossier(session, MAKER, first.id)
        with meanwhile(fresh_database, submit(second)) as outcome:
            session.rollback()
            assert outcome.result() is False

    assert live_claims(fresh_database) == [("APT|A|B|C", second.id)]


def test_key__several_keys_in_opposite_orders__nobody_waits_for_ever(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    a, b, c = "APT|A|B|1", "APT|A|B|2", "APT|A|B|3"
    with fresh_database.transaction() as session:
        first, second = ready(desk_of(session), [a, c, b]), ready(desk_of(session), [b, c, a])
        third = ready(desk_of(session), [c])

    with Session(fresh_database.engine) as session:
        assets.make_claims_live(session, third.id)
        with (
            meanwhile(fresh_database, submit(first)) as one,
            meanwhile(fresh_database, submit(second)) as other,
        ):
            session.rollback()
            assert sorted([one.result(), other.result()]) == [False, True]

    claims = live_claims(fresh_database)
    assert {key for key, _ in claims} == {a, b, c}
    assert len({holder for _, holder in claims}) == 1


# Approvals


def test_approve__same_person_twice_at_one_moment__counts_once(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        asset = make.in_review(desk_of(session), make.open_apartment(desk_of(session)))
        digest = onboarding.dossier_hash(session, asset)
    both = make.actor(Role.COMPLIANCE, Role.LEGAL_COUNSEL)

    def approve(role: Role) -> Callable[[Session], Asset]:
        return lambda session: onboarding.approve_dossier(
            session, both, asset.id, role=role, seen_hash=digest
        )

    outcomes = together(fresh_database, [approve(Role.COMPLIANCE), approve(Role.LEGAL_COUNSEL)])

    [refusal] = [item for item in outcomes if isinstance(item, Exception)]
    assert isinstance(refusal, Conflict)
    assert refusal.code == "already_approved"
    with fresh_database.reading() as reader:
        assert [item.person for item in reader.exec(select(Approval)).all()] == [both.subject]


def test_approve__two_last_checkers_at_one_moment__registers_once(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        asset = make.in_review(desk, make.open_apartment(desk))
        make.approve_all(desk, asset, but_the_last=True)
        digest = onboarding.dossier_hash(session, asset)

    def approve(checker: Actor) -> Callable[[Session], Asset]:
        return lambda session: onboarding.approve_dossier(
            session, checker, asset.id, role=Role.REGISTRAR_CHECKER, seen_hash=digest
        )

    outcomes = together(fresh_database, [approve(CHECKER), approve(make.SECOND_CHECKER)])

    [refusal] = [item for item in outcomes if isinstance(item, Exception)]
    assert isinstance(refusal, Conflict)
    assert refusal.code == "asset_not_in_review"


def test_amend__two_edits_of_one_version__one_is_stale(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        asset = make.open_apartment(desk)
        dossiers = [make.apartment_dossier(make.owned_by(make.person(desk))) for _ in range(2)]
    read = asset.version

    def amend(dossier: Dossier) -> Callable[[Session], Asset]:
        return lambda session: onboarding.amend_dossier(
            session, MAKER, asset.id, version=read, dossier=dossier
        )

    outcomes = together(fresh_database, [amend(dossier) for dossier in dossiers])

    [refusal] = [item for item in outcomes if isinstance(item, Exception)]
    assert isinstance(refusal, StaleVersion)


# Liens and the gate


def lodge_caveat(desk: Desk, asset: Asset) -> UUID:
    source = make.file_document(desk, asset, "CAVEAT")
    title = titles.title_of_asset(desk.session, asset.id)
    new = NewEncumbrance(kind=EncumbranceKind.CAVEAT, source_document_id=source.id)
    return encumbrances.lodge_encumbrance(desk.session, MAKER, title.id, new).id


def test_gate__lien_comes_into_force_first__the_step_is_refused(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        wrapped = sales.wrapped_apartment(desk)
        tokenization = sales.approved(desk, wrapped)
        caveat = lodge_caveat(desk, wrapped.asset)

    with fresh_database.transaction() as session:
        put_encumbrance_in_force(session, CHECKER, caveat)
        with meanwhile(
            fresh_database,
            lambda other: tokenizations.deploy_token(other, COMPLIANCE, tokenization.id),
        ) as outcome:
            session.commit()
            with pytest.raises(RulesRefused, match="ENC-01"):
                outcome.result()


def test_gate__asked_first__the_lien_waits_until_the_step_is_done(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        wrapped = sales.wrapped_apartment(desk)
        tokenization = sales.approved(desk, wrapped)
        caveat = lodge_caveat(desk, wrapped.asset)

    with fresh_database.transaction() as session:
        tokenizations.deploy_token(session, COMPLIANCE, tokenization.id)
        with meanwhile(
            fresh_database, lambda other: put_encumbrance_in_force(other, CHECKER, caveat)
        ) as outcome:
            session.commit()
            assert outcome.result().checker == CHECKER.subject

    with fresh_database.reading() as reader:
        found = tokenizations.get_tokenization(reader, tokenization.id)
        assert found.state == TokenizationState.DEPLOYING


def test_structure__two_tokens_of_one_asset_at_one_moment__one_is_refused(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        wrapped = sales.wrapped_apartment(desk_of(session))

    outcomes = together(
        fresh_database,
        [lambda session: sales.structured(desk_of(session), wrapped) for _ in range(2)],
    )

    [refusal] = [item for item in outcomes if isinstance(item, Exception)]
    assert isinstance(refusal, RulesRefused)
    assert [rule.id for rule in refusal.failed] == ["TOK-01"]


# Valuations


def test_accept__two_opinions_at_one_moment__one_stands(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        asset = make.open_apartment(desk_of(session))
        opinions = [
            valuations.submit_valuation(
                session,
                ACTORS[Role.VALUER],
                asset.id,
                amount_paisa=amount,
                basis_date=today(),
                method="MARKET_COMPARABLE",
                report_sha256=bytes(32),
            ).id
            for amount in (100, 110)
        ]

    def accept(opinion: UUID) -> Callable[[Session], Valuation]:
        checker = ACTORS[Role.VALUATION_CHECKER]
        return lambda session: valuations.accept_valuation(session, checker, opinion)

    with fresh_database.transaction() as session:
        accept(opinions[0])(session)
        with meanwhile(fresh_database, accept(opinions[1])) as outcome:
            session.commit()
            outcome.result()

    with fresh_database.reading() as reader:
        states = {item.id: item.state for item in reader.exec(select(Valuation)).all()}
    assert states == {
        opinions[0]: ValuationState.SUPERSEDED,
        opinions[1]: ValuationState.ACCEPTED,
    }


# Migrations


def test_upgrade__several_programs_at_once__one_migrates_and_the_others_wait(
    fresh_database: Database,
) -> None:
    migrate.downgrade(fresh_database, "base")

    outcomes = together(fresh_database, [lambda _: migrate.upgrade(fresh_database)] * 3)

    assert outcomes == [None, None, None]
    migrate.check(fresh_database)
