"""Goods, bills, court orders and the panel: at every moment, read back and replayed are one.

Each has a life of steps; lives are lived at once, in an order that chance gives. What a life is
after each step is written down, and read again as of that moment: from the past, and from the
journal alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import SQLModel

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.bill_of_lading import possession
from registry.bill_of_lading import service as bills
from registry.bill_of_lading.models import Action, BillOfLading
from registry.court_order import lifting
from registry.court_order import service as orders
from registry.court_order.models import CourtOrder
from registry.court_order.repository import get_order
from registry.document.store import DocumentStore
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.receipt import disposal
from registry.receipt import service as receipts
from registry.receipt.models import WarehouseReceipt
from registry.valuation import panel
from registry.valuation.panel import PanelValuer
from tests import court, standing
from tests import factories as make
from tests import goods as lots
from tests.db.past import Watch, journal_of
from tests.factories import CHECKER, COMPLIANCE, Desk
from tests.goods import CARRIER, WAREHOUSE

pytestmark = pytest.mark.db

Record = WarehouseReceipt | BillOfLading | CourtOrder | PanelValuer
Step = Callable[[Desk], Record]
Life = Iterator[Step]


def goods_that_are_pledged_and_delivered() -> Life:
    kept: dict[str, Any] = {}

    def deposit(desk: Desk) -> Record:
        kept["lot"], kept["bank"] = lots.deposited(desk), lots.side(desk)
        return receipt(desk)

    def receipt(desk: Desk) -> WarehouseReceipt:
        return receipts.get_receipt(desk.session, kept["lot"].receipt.id)

    def grade(desk: Desk) -> Record:
        asset = assets.get_asset(desk.session, kept["lot"].asset.id)
        lots.grade(desk, replace(kept["lot"], asset=asset))
        return receipt(desk)

    def accept_grade(desk: Desk) -> Record:
        make.value(desk, assets.get_asset(desk.session, kept["lot"].asset.id))
        return receipts.accept_grade(desk.session, kept["lot"].holder.actor, kept["lot"].receipt.id)

    def issue(desk: Desk) -> Record:
        return receipts.issue_receipt(desk.session, WAREHOUSE, kept["lot"].receipt.id)

    def pledge(desk: Desk) -> Record:
        return lots.pledge(desk, kept["lot"], kept["bank"], Decimal(1_000))

    def release(desk: Desk) -> Record:
        return disposal.release_pledge(desk.session, kept["bank"].actor, kept["lot"].receipt.id)

    def split(desk: Desk) -> Record:
        parts = [Decimal(500_000), Decimal(2_000_000)]
        disposal.split_receipt(desk.session, WAREHOUSE, kept["lot"].receipt.id, parts=parts)
        return receipt(desk)

    yield from (deposit, grade, accept_grade, issue, pledge, release, split)


def bill_that_changes_hands_and_is_surrendered() -> Life:
    kept: dict[str, Any] = {}

    def make_out(desk: Desk) -> Record:
        kept["cargo"], kept["taker"] = lots.made_out(desk), lots.side(desk)
        bill: BillOfLading = kept["cargo"].bill
        return bill

    def shipper(act: Callable[..., Record], **more: Any) -> Step:
        return lambda desk: act(
            desk.session, kept["cargo"].shipper.actor, kept["cargo"].bill.id, **more
        )

    def endorse(desk: Desk) -> Record:
        return possession.offer_endorsement(
            desk.session,
            kept["cargo"].shipper.actor,
            kept["cargo"].bill.id,
            to_party_id=kept["taker"].party.id,
            action=Action.BLANK_ENDORSE,
        )

    def taker(act: Callable[..., Record]) -> Step:
        return lambda desk: act(desk.session, kept["taker"].actor, kept["cargo"].bill.id)

    def carrier(act: Callable[..., Record]) -> Step:
        return lambda desk: act(desk.session, CARRIER, kept["cargo"].bill.id)

    yield from (make_out, shipper(bills.approve_draft), carrier(bills.issue_bill), endorse)
    yield from (taker(possession.accept_offer), taker(possession.surrender_for_delivery))
    yield carrier(possession.accept_surrender)


def order_on_a_wallet_that_is_vacated() -> Life:
    kept: dict[str, UUID] = {}

    def receive(desk: Desk) -> Record:
        order = court.on_wallet(desk, next(make.numbers).to_bytes(20, "big"))
        kept["order"] = order.id
        return order

    def known(act: Callable[[Desk, CourtOrder], CourtOrder]) -> Step:
        return lambda desk: act(desk, get_order(desk.session, kept["order"]))

    def lift(desk: Desk, order: CourtOrder) -> CourtOrder:
        return lifting.lift_order(desk.session, order.id, chain_released=True)

    yield from (receive, known(court.authenticate), known(apply), known(confirm))
    yield from (known(court.vacate), known(lift))


def apply(desk: Desk, order: CourtOrder) -> CourtOrder:
    return orders.apply_order(desk.session, court.SECOND_COMPLIANCE, order.id)


def confirm(desk: Desk, order: CourtOrder) -> CourtOrder:
    return orders.confirm_order(desk.session, order.id, chain_obeys=True)


def order_on_an_asset_that_stays() -> Life:
    kept: dict[str, UUID] = {}

    def receive(desk: Desk) -> Record:
        asset: Asset = standing.registered_apartment(desk)
        order = court.on_asset(desk, asset)
        kept["order"] = order.id
        return order

    def known(act: Callable[[Desk, CourtOrder], CourtOrder]) -> Step:
        return lambda desk: act(desk, get_order(desk.session, kept["order"]))

    yield from (receive, known(court.authenticate), known(apply), known(confirm))


def valuer_who_comes_and_goes() -> Life:
    kept: dict[str, UUID] = {}

    def propose(desk: Desk) -> Record:
        entry = panel.propose_valuer(
            desk.session,
            COMPLIANCE,
            valuer=make.actor(Role.VALUER).subject,
            licence_no=f"PBA-{next(make.numbers)}",
            begins_on=today(),
        )
        kept["entry"] = entry.id
        return entry

    def confirm_entry(desk: Desk) -> Record:
        return panel.confirm_valuer(desk.session, CHECKER, kept["entry"])

    def end(desk: Desk) -> Record:
        last = today() + timedelta(days=7)
        return panel.end_valuer(
            desk.session, COMPLIANCE, kept["entry"], ends_on=last, reason="Retires"
        )

    yield from (propose, confirm_entry, end)


LIVES = (
    goods_that_are_pledged_and_delivered,
    bill_that_changes_hands_and_is_surrendered,
    order_on_a_wallet_that_is_vacated,
    order_on_an_asset_that_stays,
    valuer_who_comes_and_goes,
)


def said_of(record: SQLModel) -> dict[str, str]:
    """Return what every column of a record says."""
    return {name: str(value) for name, value in record.model_dump().items()}


class Lived:
    """What every record said after each step of its life."""

    def __init__(self, database: Database, vault: Vault, store: DocumentStore) -> None:
        self.watch = Watch(database)
        self._kept = vault, store
        self.said: dict[tuple[type[Record], UUID], list[tuple[datetime, dict[str, str]]]] = {}

    def take(self, step: Step) -> None:
        with self.watch.database.transaction() as session:
            record = step(Desk(session, *self._kept))
            session.flush()
            key = type(record), record.id
        with self.watch.database.reading() as session:
            state = said_of(session.get_one(*key))
        self.said.setdefault(key, []).append((self.watch.look(), state))


@pytest.fixture(params=[1, 2])
def lived(
    request: pytest.FixtureRequest, fresh_database: Database, vault: Vault, store: DocumentStore
) -> Lived:
    chance, story = random.Random(request.param), Lived(fresh_database, vault, store)
    lives = [life() for life in LIVES for _ in range(2)]
    while lives:
        life = chance.choice(lives)
        step = next(life, None)
        if step is None:
            lives.remove(life)
        else:
            story.take(step)
    return story


def test_past__many_lives_at_once__is_at_every_moment_what_the_journal_replays(
    lived: Lived,
) -> None:
    assert len(lived.watch.seen) == 2 * (7 + 7 + 6 + 4 + 3)
    lived.watch.hold()


def test_past__one_record__is_read_as_of_every_moment_as_its_life_tells(lived: Lived) -> None:
    moments = [moment for moment, _ in lived.watch.seen]
    first = {key: life[0][0] for key, life in lived.said.items()}
    for moment in moments:
        with lived.watch.database.reading(known_at=moment) as past:
            for key, life in lived.said.items():
                record = past.get(*key)
                heard = [state for at, state in life if at <= moment]
                assert (record is not None) == (first[key] <= moment)
                if record is not None:
                    assert said_of(record) == heard[-1]


def test_journal__one_record__has_an_image_for_every_step_of_its_life(lived: Lived) -> None:
    entries = [item for item in journal_of(lived.watch.database) if item["kind"] == "fact"]
    for (kind, row_id), life in lived.said.items():
        images = [
            entry["image"]
            for entry in entries
            if (entry["table"], entry["row_id"]) == (kind.__tablename__, str(row_id))
        ]
        states = [state.get("state") for _, state in life]
        # One step may write a row more than once; none may leave it unwritten.
        assert len(images) >= len(life)
        assert [image.get("state") for image in images][-1] == states[-1]
        assert set(states) <= {image.get("state") for image in images}
