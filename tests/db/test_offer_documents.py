"""Papers that a buyer must accept: fixed at the opening, accepted by hash, kept for ever."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from registry.document import service as documents
from registry.document.models import Document, DocumentState
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.offering import acceptance, buying, leaving, orders, waiting
from registry.offering import service as offerings
from registry.offering.acceptance import Accepted
from registry.offering.models import DocumentAcceptance, Offering, Order
from registry.offering.terms import OfferTerms
from registry.tokenization.models import Tokenization
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import COMPLIANCE, VERIFIER, Buyer, Desk
from tests.sales import Wrapped

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Market:
    wrapped: Wrapped
    token: Tokenization
    memorandum: Document
    risks: Document
    buyer: Buyer


def deploy(desk: Desk) -> Market:
    wrapped = sales.wrapped_apartment(desk)
    return Market(
        wrapped,
        sales.deployed(desk, wrapped),
        make.file_document(desk, wrapped.asset, "OFFERING_MEMORANDUM"),
        make.file_document(desk, wrapped.asset, "RISK_STATEMENT"),
        make.buyer(desk),
    )


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Market]]:
    with make_stage(deploy) as stage:
        yield stage


@pytest.fixture(scope="module")
def database(stage: Stage[Market]) -> Database:
    return stage.database


@pytest.fixture
def market(stage: Stage[Market], session: Session) -> Market:
    return stage.on(session)


def offer(desk: Desk, market: Market, *papers: Document) -> Offering:
    terms = OfferTerms(
        offered_units=10, document_ids=tuple(paper.id for paper in papers), cooling_off_hours=24
    )
    return offerings.open_offering(desk.session, COMPLIANCE, market.token.id, terms)


def order(desk: Desk, sale: Offering, who: Buyer, accepted: Sequence[Accepted] = ()) -> Order:
    return buying.place_order(
        desk.session,
        who.actor,
        sale.id,
        units=10,
        wallet_address=who.wallet.address,
        accepted=accepted,
    )


def wait(desk: Desk, sale: Offering, who: Buyer, accepted: Sequence[Accepted]) -> None:
    waiting.join_waiting_list(
        desk.session,
        who.actor,
        sale.id,
        units=10,
        wallet_address=who.wallet.address,
        accepted=accepted,
    )


def accept(*papers: Document) -> list[Accepted]:
    return [Accepted(paper.id, paper.sha256) for paper in papers]


# Opening


def test_open__paper_of_another_asset__is_refused(desk: Desk, market: Market) -> None:
    other = make.file_document(desk, make.open_apartment(desk), "RISK_STATEMENT")

    with pytest.raises(Invalid, match="offer_document_wrong"):
        offer(desk, market, other)


def test_open__paper_that_nobody_verified__is_refused(desk: Desk, market: Market) -> None:
    draft = make.file_document(desk, market.wrapped.asset, "RISK_STATEMENT", verified=False)

    with pytest.raises(Conflict, match="offer_document_not_verified"):
        offer(desk, market, draft)


def test_open__paper_named_twice__is_asked_for_once(desk: Desk, market: Market) -> None:
    sale = offer(desk, market, market.risks, market.risks)

    assert acceptance.papers_of(desk.session, [sale.id]) == {sale.id: [market.risks]}


# Ordering


def test_order__every_paper_accepted__keeps_who_accepted_which_hash_and_when(
    desk: Desk, market: Market
) -> None:
    sale = offer(desk, market, market.memorandum, market.risks)

    placed = order(desk, sale, market.buyer, accept(market.risks, market.memorandum))

    kept = acceptance.list_acceptances(desk.session, placed)
    assert {(row.document_id, row.sha256) for row in kept} == {
        (paper.id, paper.sha256) for paper in (market.memorandum, market.risks)
    }
    for row in kept:
        assert (row.accepted_by, row.investor_id) == (
            market.buyer.actor.subject,
            market.buyer.investor.id,
        )
        assert abs(row.recorded_at - placed.recorded_at).total_seconds() < 1


def test_acceptances__two_orders__each_has_its_own(desk: Desk, market: Market) -> None:
    sale = offer(desk, market, market.risks)
    mine = order(desk, sale, market.buyer, accept(market.risks))
    leaving.cancel_order(desk.session, market.buyer.actor, mine.id)
    theirs = order(desk, sale, make.buyer(desk), accept(market.risks))

    kept = [acceptance.list_acceptances(desk.session, row) for row in (mine, theirs)]

    assert [[row.order_id for row in rows] for rows in kept] == [[mine.id], [theirs.id]]


def test_order__one_paper_missing__is_refused_and_names_it(desk: Desk, market: Market) -> None:
    sale = offer(desk, market, market.memorandum, market.risks)

    with pytest.raises(Conflict, match="documents_not_accepted") as refusal:
        order(desk, sale, market.buyer, accept(market.risks))

    assert str(market.memorandum.id) in refusal.value.detail
    assert str(market.risks.id) not in refusal.value.detail
    assert sale.reserved_units == 0


def test_order__another_hash__is_refused(desk: Desk, market: Market) -> None:
    sale = offer(desk, market, market.risks)

    with pytest.raises(Conflict, match="document_hash_differs") as refusal:
        order(desk, sale, market.buyer, [Accepted(market.risks.id, b"\x00" * 32)])

    assert market.risks.sha256.hex() in refusal.value.detail


def test_order__paper_that_is_none_of_the_sale__is_refused(desk: Desk, market: Market) -> None:
    sale = offer(desk, market, market.risks)

    with pytest.raises(Invalid, match="document_not_of_offering"):
        order(desk, sale, market.buyer, accept(market.risks, market.memorandum))


def test_order__newer_version_since__the_sale_keeps_what_it_was_opened_with(
    desk: Desk, market: Market
) -> None:
    sale = offer(desk, market, market.risks)
    newer = make.file_document(
        desk, market.wrapped.asset, "RISK_STATEMENT", replaces_id=market.risks.id
    )
    assert market.risks.state == DocumentState.SUPERSEDED

    with pytest.raises(Invalid, match="document_not_of_offering"):
        order(desk, sale, market.buyer, accept(newer))
    placed = order(desk, sale, market.buyer, accept(market.risks))

    [kept] = acceptance.list_acceptances(desk.session, placed)
    assert kept.sha256 == market.risks.sha256 != newer.sha256


def test_order__paper_revoked__the_sale_rests(desk: Desk, market: Market) -> None:
    sale = offer(desk, market, market.risks)
    documents.revoke_document(desk.session, VERIFIER, market.risks.id, reason="Found forged")

    with pytest.raises(Conflict, match="offer_document_revoked"):
        order(desk, sale, market.buyer, accept(market.risks))


# The waiting list


def test_wait__papers_accepted_on_joining__are_those_of_the_order(
    desk: Desk, market: Market
) -> None:
    sale = offer(desk, market, market.risks)
    sold = order(desk, sale, market.buyer, accept(market.risks))
    late = make.buyer(desk)

    with pytest.raises(Conflict, match="documents_not_accepted"):
        wait(desk, sale, late, [])
    wait(desk, sale, late, accept(market.risks))
    leaving.cancel_order(desk.session, market.buyer.actor, sold.id)

    [offered] = orders.list_orders(desk.session, investor_id=late.investor.id)

    [kept] = acceptance.list_acceptances(desk.session, offered)
    assert (kept.document_id, kept.accepted_by) == (market.risks.id, late.actor.subject)


def test_wait__paper_revoked_meanwhile__nobody_is_offered_anything(
    desk: Desk, market: Market
) -> None:
    sale = offer(desk, market, market.risks)
    sold = order(desk, sale, market.buyer, accept(market.risks))
    late = make.buyer(desk)
    wait(desk, sale, late, accept(market.risks))
    documents.revoke_document(desk.session, VERIFIER, market.risks.id, reason="Found forged")

    leaving.cancel_order(desk.session, market.buyer.actor, sold.id)

    assert orders.list_orders(desk.session, investor_id=late.investor.id) == []
    assert waiting.due_lists(desk.session) == []


# What is kept


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE document_acceptance SET sha256 = '\\x00'",
        "DELETE FROM document_acceptance",
        "UPDATE offering_document SET sha256 = '\\x00'",
        "DELETE FROM offering_document",
    ],
)
def test_acceptance__changed_by_hand__is_refused(desk: Desk, market: Market, change: str) -> None:
    order(desk, offer(desk, market, market.risks), market.buyer, accept(market.risks))

    with pytest.raises(IntegrityError, match="append-only"), desk.session.begin_nested():
        desk.session.connection().execute(text(change))

    assert len(desk.session.exec(select(DocumentAcceptance)).all()) == 1


def test_paper__not_of_the_sale__is_not_given_out(desk: Desk, market: Market) -> None:
    sale = offer(desk, market, market.risks)

    acceptance.require_of_offering(desk.session, sale.id, market.risks.id)
    with pytest.raises(NotFound):
        acceptance.require_of_offering(desk.session, sale.id, market.memorandum.id)
