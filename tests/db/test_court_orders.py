"""Court orders: what they stop, in whose name, and how it ends."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from registry.asset.models import Asset, AssetState
from registry.court_order import lifting
from registry.court_order import service as orders
from registry.court_order.models import CourtOrder, CourtOrderState, OrderScope
from registry.encumbrance.models import Encumbrance, EncumbranceKind, EncumbranceState
from registry.journal.models import JournalEntry
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.mutation import service as mutations
from registry.mutation.forms import NewMutation
from registry.mutation.models import Initiation, MutationKind, MutationState
from registry.offering.buying import place_order
from registry.offering.models import Offering
from registry.onboarding import service as onboarding
from registry.onboarding import standing
from registry.operation.models import Operation, OperationKind
from registry.reconciliation import service as reconciliation
from registry.title import service as titles
from registry.title.models import Title, TitleState
from registry.tokenization.models import TokenizationState
from tests import court, deeds, ledger, liens, sales
from tests import factories as make
from tests.court import REGULATOR, SECOND_COMPLIANCE
from tests.db.rows import refused_by
from tests.deeds import refusal
from tests.factories import CHECKER, COMPLIANCE, Desk

pytestmark = pytest.mark.db
ON_SHELF = (600, 400)


def encumbrance_of(desk: Desk, order: CourtOrder) -> Encumbrance:
    return desk.session.get_one(Encumbrance, order.encumbrance_id)


def open_causes(desk: Desk, asset: Asset) -> list[str]:
    causes = standing.list_causes(desk.session, asset.id)
    return [cause.kind for cause in causes if cause.closed_at is None]


def writers(desk: Desk, subject: object) -> dict[str, str]:
    """Who did what to a subject, by the journal."""
    rows = desk.session.exec(select(JournalEntry).where(JournalEntry.subject_id == str(subject)))
    return {row.act: row.actor for row in rows}


def test_apply__asset_with_a_live_token__stops_asset_title_and_token_at_once(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    asset = chain.wrapped.asset
    order = court.apply(desk, court.on_asset(desk, asset))

    assert asset.state == AssetState.SUSPENDED
    assert titles.title_of_asset(desk.session, asset.id).state == TitleState.DISPUTED
    assert chain.tokenization.state == TokenizationState.PAUSED
    pause = select(Operation).where(Operation.kind == OperationKind.PAUSE)
    assert [row.subject_id for row in desk.session.exec(pause)] == [str(chain.tokenization.id)]
    waiting = reconciliation.confirm_order(desk.session, order.id).state
    chain.pause()
    obeyed = reconciliation.confirm_order(desk.session, order.id).state
    assert (waiting, obeyed) == (CourtOrderState.APPLYING, CourtOrderState.IN_FORCE)


def test_apply__in_the_register__is_written_in_the_orders_own_name(desk: Desk) -> None:
    asset = make.registered(desk, make.open_apartment(desk))
    order = court.apply(desk, court.on_asset(desk, asset))
    found = encumbrance_of(desk, order)
    title = titles.title_of_asset(desk.session, asset.id)

    itself = f"order:{order.id}"
    assert (found.maker, found.checker) == (itself, SECOND_COMPLIANCE.subject)
    assert writers(desk, found.id)["encumbrance_lodged"] == itself
    assert writers(desk, title.id)["title_dispute"] == itself
    assert writers(desk, order.id) == {
        "court_order_received": REGULATOR.subject,
        "court_order_authenticate": COMPLIANCE.subject,
        "court_order_apply": SECOND_COMPLIANCE.subject,
    }


def test_apply__paper_nobody_verified__is_refused_and_binds_nobody(desk: Desk) -> None:
    asset = make.registered(desk, make.open_apartment(desk))
    paper = make.file_document(desk, asset, "COURT_ORDER", verified=False)
    new = court.new_order(
        OrderScope.ASSET,
        asset_id=asset.id,
        document_id=paper.id,
        document_sha256=paper.sha256,
    )
    order = court.authenticate(desk, orders.receive_order(desk.session, REGULATOR, new))

    with desk.session.begin_nested() as attempt:
        said = refusal(lambda: orders.apply_order(desk.session, SECOND_COMPLIANCE, order.id))
        attempt.rollback()

    assert said == ("source_not_verified", None)
    desk.session.refresh(order)
    assert order.state == CourtOrderState.AUTHENTICATED
    assert asset.state == AssetState.REGISTERED


@pytest.mark.parametrize(
    ("stage", "mutation_state", "title_state"),
    [
        (deeds.verified, MutationState.STAYED, TitleState.DISPUTED),
        (deeds.completed, MutationState.FIELD_VERIFICATION, TitleState.MUTATION_PENDING),
        (deeds.attested, MutationState.ATTESTED, TitleState.MUTATION_PENDING),
    ],
)
def test_apply__mutation_open__is_stayed_where_it_can_be_and_never_implemented(
    desk: Desk, stage: Any, mutation_state: MutationState, title_state: TitleState
) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    stage(desk, mutation)
    order = court.apply(desk, court.on_asset(desk, desk.session.get_one(Asset, title.asset_id)))

    assert (mutation.state, title.state) == (mutation_state, title_state)
    assert encumbrance_of(desk, order).state == EncumbranceState.ACTIVE
    if mutation.state == MutationState.STAYED:
        assert writers(desk, mutation.id)["mutation_mark_pending"] == f"order:{order.id}"
        resume = refusal(
            lambda: mutations.resume_mutation(desk.session, deeds.REVENUE_OFFICER, mutation.id)
        )
        assert resume == ("title_disputed", None)
    if mutation.state == MutationState.ATTESTED:
        assert refusal(lambda: deeds.implement(desk, mutation)) == ("transfer_blocked", "ENC-02")


def test_apply__stayed_mutation__takes_its_way_once_everything_is_decided(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    deeds.verified(desk, mutation)
    asset = desk.session.get_one(Asset, title.asset_id)
    order = court.in_force(desk, court.on_asset(desk, asset))
    court.vacate(desk, order, **court.vacating_paper(desk, asset))
    reconciliation.lift_order(desk.session, order.id)
    final = make.file_document(desk, asset, "FINAL_ORDER")
    mutations.decide_dispute(
        desk.session, CHECKER, title.id, order_document_id=final.id, reason="Dismissed."
    )

    assert title.state == TitleState.MUTATION_PENDING
    mutations.resume_mutation(desk.session, deeds.REVENUE_OFFICER, mutation.id)
    assert mutation.state == MutationState.AWAITING_ATTESTATION


def test_vacate__asset__discharges_and_closes_what_the_order_opened(desk: Desk) -> None:
    asset = make.registered(desk, make.open_apartment(desk))
    order = court.in_force(desk, court.on_asset(desk, asset))
    assert open_causes(desk, asset) == ["ENCUMBRANCE"]

    court.vacate(desk, order, **court.vacating_paper(desk, asset))

    found = encumbrance_of(desk, order)
    assert (order.state, found.state) == (CourtOrderState.LIFTING, EncumbranceState.DISCHARGED)
    assert found.asked_by == f"order:{order.id}"
    assert writers(desk, found.id)["encumbrance_discharge"] == CHECKER.subject
    assert open_causes(desk, asset) == [], "people can reinstate it now"
    assert asset.state == AssetState.SUSPENDED, "a vacated order reinstates nothing by itself"


@pytest.mark.parametrize("again", [False, True])
def test_vacate__asset_before_the_order_is_in_force__discharges_it(desk: Desk, again: bool) -> None:
    """Not yet in force, or varied and not applied again: it has its encumbrance all the same."""
    asset = make.registered(desk, make.open_apartment(desk))
    order = court.apply(desk, court.on_asset(desk, asset))
    if again:
        reconciliation.confirm_order(desk.session, order.id)
        lifting.vary_order(desk.session, COMPLIANCE, order.id, document_sha256=b"n" * 32)

    court.vacate(desk, order, **court.vacating_paper(desk, asset))
    assert encumbrance_of(desk, order).state == EncumbranceState.DISCHARGED
    assert open_causes(desk, asset) == []
    assert reconciliation.lift_order(desk.session, order.id).state == CourtOrderState.VACATED


def test_vacate__without_or_with_another_paper__is_refused(desk: Desk) -> None:
    asset = make.registered(desk, make.open_apartment(desk))
    order = court.in_force(desk, court.on_asset(desk, asset))
    paper = court.vacating_paper(desk, asset)

    def vacate(**said: Any) -> tuple[str, str | None]:
        return refusal(
            lambda: lifting.vacate_order(
                desk.session, COMPLIANCE, order.id, role=Role.COMPLIANCE, **said
            )
        )

    sha256 = paper["vacating_sha256"]
    assert vacate(vacating_sha256=sha256) == ("vacating_paper_missing", None)
    other = paper | {"vacating_sha256": secrets.token_bytes(32)}
    assert vacate(**other) == ("order_paper_differs", None)


def test_vacate__two_people_two_papers__do_not_agree(desk: Desk) -> None:
    chain = ledger.live(desk, 1000)
    wallet = chain.holders[0].wallet.address
    order = court.apply(desk, court.on_wallet(desk, wallet))
    chain.freeze(wallet)
    reconciliation.confirm_order(desk.session, order.id)
    lifting.vacate_order(
        desk.session, COMPLIANCE, order.id, role=Role.COMPLIANCE, vacating_sha256=b"a" * 32
    )

    said = refusal(
        lambda: lifting.vacate_order(
            desk.session, CHECKER, order.id, role=Role.REGISTRAR_CHECKER, vacating_sha256=b"b" * 32
        )
    )

    assert said == ("approvals_missing", None)
    assert order.state == CourtOrderState.IN_FORCE


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": EncumbranceKind.MORTGAGE}, "order_kind_refused"),
        ({"issued_on": today() + timedelta(days=1)}, "order_dates_malformed"),
        ({"issued_on": date(1, 1, 1)}, "order_dates_malformed"),
        ({"received_at": datetime(1, 1, 1, tzinfo=UTC)}, "order_dates_malformed"),
        ({"received_at": now() + timedelta(hours=1)}, "order_dates_malformed"),
        ({"received_at": now() - timedelta(days=2)}, "order_dates_malformed"),
        ({"ends_on": today() - timedelta(days=1)}, "order_dates_malformed"),
        ({"wallet": bytes(19)}, "order_scope_malformed"),
        ({"wallet": None}, "order_scope_malformed"),
        ({"amount_units": 5}, "order_scope_malformed"),
        ({"scope": OrderScope.AMOUNT}, "order_scope_malformed"),
        ({"scope": OrderScope.ASSET}, "order_scope_malformed"),
    ],
)
def test_receive__malformed__is_refused(desk: Desk, changes: dict[str, Any], code: str) -> None:
    new = court.new_order(**{"scope": OrderScope.WALLET, "wallet": bytes(20)} | changes)

    assert refusal(lambda: orders.receive_order(desk.session, REGULATOR, new)) == (code, None)


def test_receive__paper_of_another_asset_or_hash__is_refused(desk: Desk) -> None:
    one, other = make.open_apartment(desk), make.open_apartment(desk)
    paper = make.file_document(desk, other, "COURT_ORDER")

    def receive(asset: Asset, sha256: bytes) -> tuple[str, str | None]:
        new = court.new_order(
            OrderScope.ASSET, asset_id=asset.id, document_id=paper.id, document_sha256=sha256
        )
        return refusal(lambda: orders.receive_order(desk.session, REGULATOR, new))

    assert receive(one, paper.sha256) == ("source_of_other_asset", None)
    assert receive(other, bytes(32)) == ("order_paper_differs", None)


def test_database__order_that_names_nothing__is_refused(desk: Desk) -> None:
    order = court.on_wallet(desk, secrets.token_bytes(20))

    refused_by(
        desk.session,
        "ck_court_order_scope",
        "UPDATE court_order SET wallet = NULL WHERE id = :id",
        id=order.id,
    )


def test_party_under_order__buys_nothing_until_it_is_lifted(desk: Desk) -> None:
    sale = sales.offering(desk, sales.wrapped_apartment(desk))
    buyer = make.buyer(desk)
    new = court.new_order(OrderScope.PARTY, party_id=buyer.investor.party_id)
    order = orders.receive_order(desk.session, REGULATOR, new)
    sales.order(desk, sale, buyer)

    court.apply(desk, order)
    assert _refused_to_buy(desk, sale, buyer)
    reconciliation.confirm_order(desk.session, order.id)
    lifting.vary_order(desk.session, COMPLIANCE, order.id, document_sha256=b"n" * 32)
    assert order.state == CourtOrderState.AUTHENTICATED
    assert _refused_to_buy(desk, sale, buyer), "a varied order binds on"
    orders.apply_order(desk.session, SECOND_COMPLIANCE, order.id)
    reconciliation.confirm_order(desk.session, order.id)
    court.vacate(desk, order)
    assert reconciliation.lift_order(desk.session, order.id).state == CourtOrderState.VACATED
    sales.order(desk, sale, buyer)


def _refused_to_buy(desk: Desk, sale: Offering, buyer: make.Buyer) -> bool:
    said = refusal(
        lambda: place_order(
            desk.session, buyer.actor, sale.id, units=1, wallet_address=buyer.wallet.address
        )
    )
    return said == ("party_under_order", None)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount_units": 0}, "order_scope_malformed"),
        ({"amount_units": None}, "order_scope_malformed"),
        ({"ends_on": today() - timedelta(days=1)}, "order_dates_malformed"),
    ],
)
def test_vary__malformed__is_refused(desk: Desk, changes: dict[str, Any], code: str) -> None:
    order = _amount_in_force(desk)
    said: dict[str, Any] = {"amount_units": 10, "document_sha256": b"n" * 32} | changes

    assert refusal(lambda: lifting.vary_order(desk.session, COMPLIANCE, order.id, **said)) == (
        code,
        None,
    )
    assert order.state == CourtOrderState.IN_FORCE


def test_vary__to_a_day_that_is_over__is_refused(desk: Desk) -> None:
    order = _amount_in_force(desk)
    order.issued_on = today() - timedelta(days=2)
    desk.session.flush()

    def vary(ends_on: date) -> CourtOrder:
        said: dict[str, Any] = {"amount_units": 300, "document_sha256": b"n" * 32}
        return lifting.vary_order(desk.session, COMPLIANCE, order.id, ends_on=ends_on, **said)

    assert refusal(lambda: vary(today() - timedelta(days=1))) == ("order_dates_malformed", None)
    assert order.state == CourtOrderState.IN_FORCE
    assert vary(today()).state == CourtOrderState.AUTHENTICATED


def test_end__of_an_order_that_nobody_applied__is_refused(desk: Desk) -> None:
    order = court.authenticate(desk, court.on_wallet(desk, bytes(20), ends_on=today()))
    order.issued_on = order.ends_on = today() - timedelta(days=1)
    desk.session.flush()

    assert orders.due_orders(desk.session) == []
    for end in (
        lambda: court.vacate(desk, order),
        lambda: lifting.expire_order(desk.session, order.id),
    ):
        assert refusal(end) == ("order_not_in_force", None)
    assert order.state == CourtOrderState.AUTHENTICATED
    assert "court_order_approved" not in writers(desk, order.id), "the first person learns of it"


def _amount_in_force(desk: Desk) -> CourtOrder:
    chain = ledger.live(desk, 1000)
    return court.frozen_for(chain, court.on_amount(desk, chain, 300))


def test_amounts__of_two_orders__are_both_to_be_frozen(desk: Desk) -> None:
    chain = ledger.live(desk, 1000)
    first = court.frozen_for(chain, court.on_amount(desk, chain, 300))

    second = court.apply(desk, court.on_amount(desk, chain, 200))
    reconciliation.confirm_order(desk.session, second.id)
    assert second.state == CourtOrderState.APPLYING, "what is frozen is the first order's"
    third = court.frozen_for(chain, court.on_amount(desk, chain, 200))

    assert (first.state, third.state) == (CourtOrderState.IN_FORCE, CourtOrderState.IN_FORCE)


def test_lift__while_another_order_is_in_force__is_refused(desk: Desk) -> None:
    chain = ledger.live(desk, 1000)
    wallet = chain.holders[0].wallet.address
    chain.freeze(wallet)
    first, second = (court.in_force(desk, court.on_wallet(desk, wallet)) for _ in range(2))
    court.vacate(desk, first)

    said = refusal(lambda: reconciliation.lift_order(desk.session, first.id))
    assert said == ("other_order_in_force", None)

    court.vacate(desk, second)
    reconciliation.lift_order(desk.session, first.id)
    assert refusal(lambda: reconciliation.lift_order(desk.session, second.id)) == (
        "order_still_on_chain",
        None,
    )
    chain.freeze(wallet, frozen=False)
    reconciliation.lift_order(desk.session, second.id)
    assert (first.state, second.state) == (CourtOrderState.VACATED, CourtOrderState.VACATED)


def test_expire__asset__leaves_the_encumbrance_to_people(desk: Desk) -> None:
    asset = make.registered(desk, make.open_apartment(desk))
    order = court.in_force(desk, court.on_asset(desk, asset, ends_on=today()))
    order.ends_on = today() - timedelta(days=1)
    desk.session.flush()

    lifting.expire_order(desk.session, order.id)

    assert order.state == CourtOrderState.EXPIRED
    assert encumbrance_of(desk, order).state == EncumbranceState.ACTIVE
    assert asset.state == AssetState.SUSPENDED


def test_vacate__encumbrance_gone_already__lifts_the_order_alone(desk: Desk) -> None:
    asset = make.registered(desk, make.open_apartment(desk))
    order = court.in_force(desk, court.on_asset(desk, asset))
    liens.discharged(desk, encumbrance_of(desk, order))

    court.vacate(desk, order, **court.vacating_paper(desk, asset))
    reconciliation.lift_order(desk.session, order.id)

    assert order.state == CourtOrderState.VACATED


def test_apply__title_that_is_only_claimed__is_encumbered_and_not_disputed(desk: Desk) -> None:
    draft = make.open_apartment(desk)
    order = court.apply(desk, court.on_asset(desk, draft))
    title = desk.session.exec(select(Title).where(Title.asset_id == draft.id)).one()

    assert title.state == TitleState.PROPOSED
    assert encumbrance_of(desk, order).state == EncumbranceState.ACTIVE


def test_implement__partition_while_an_order_waits__is_refused(desk: Desk) -> None:
    title, one, other = deeds.half_and_half(desk)
    halves = [deeds.draft_farm(desk, make.owned_by(who), area=(4, 0, "0")) for who in (one, other)]
    new = NewMutation(
        kind=MutationKind.PARTITION,
        initiation=Initiation.REGISTERED_DEED,
        number=deeds.number(),
        result_asset_ids=[half.id for half in halves],
    )
    mutation = deeds.attested(desk, deeds.entered(desk, title, new))
    asset = desk.session.get_one(Asset, title.asset_id)
    order = court.on_asset(desk, asset)

    assert refusal(lambda: deeds.implement(desk, mutation)) == ("order_pending", None)
    court.apply(desk, order)
    assert refusal(lambda: deeds.implement(desk, mutation))[0] == "transfer_blocked"


@pytest.mark.parametrize("state", ["SUPERSEDED", "CANCELLED", "REFUSED"])
def test_receive__order_on_a_title_that_has_ended__is_refused(desk: Desk, state: str) -> None:
    asset = make.registered(desk, make.open_apartment(desk))
    lien = liens.lodged(desk, asset, EncumbranceKind.STAY_ORDER)
    titles.title_of_asset(desk.session, asset.id).state = TitleState(state)
    desk.session.flush()

    assert refusal(lambda: court.on_asset(desk, asset))[0] == "title_ended"
    assert refusal(lambda: liens.lodged(desk, asset, EncumbranceKind.CAVEAT))[0] == "title_ended"
    assert refusal(lambda: liens.put_in_force(desk, lien))[0] == "title_ended"


def test_retire__order_whose_days_are_over__waits_for_nobody(desk: Desk) -> None:
    asset = make.registered(desk, make.open_apartment(desk))
    yesterday = today() - timedelta(days=1)
    court.on_asset(
        desk, asset, issued_on=yesterday, ends_on=yesterday, received_at=now() - timedelta(days=1)
    )

    onboarding.retire_asset(desk.session, CHECKER, asset.id, reason="Pulled down.")

    assert asset.state == AssetState.RETIRED
