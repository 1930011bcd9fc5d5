"""Reconciliation that nobody asks for; what differs stops the money; orders end by themselves."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlmodel import col, select

from chain.sync.watch import Watch
from registry.captable.models import EventKind, SyncCursor, Token
from registry.case import order_freeze
from registry.case import repository as cases
from registry.case.models import Case, CaseState
from registry.court_order import service as orders
from registry.court_order.models import CourtOrder, CourtOrderState
from registry.document.store import DocumentStore
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.kernel.vault import Vault
from registry.offering.models import Offering, OrderState
from registry.offering.unwinding import record_refund
from registry.payment import payouts
from registry.payment.models import ProceedsPayoutState
from registry.reconciliation import service as reconciliation
from registry.reconciliation.models import BreakState, ReconciliationBreak
from registry.reconciliation.payable import require_no_break
from registry.reconciliation.rounds import DAY, Key, Rounds
from registry.reconciliation.views import Difference
from registry.redemption import paying
from registry.redemption.repository import list_payouts
from registry.settlement import service as settlements
from registry.settlement.service import Agreed
from registry.sweep.service import sweep
from tests import cases as make_case
from tests import court, ledger, sales
from tests import factories as make
from tests import redemptions as stages
from tests.db.test_payees import COLLEAGUE, proceeds
from tests.factories import COMPLIANCE, Desk
from tests.ledger import Ledger
from tests.redemptions import TREASURY

pytestmark = pytest.mark.db

AT_ONCE = timedelta(0)


@dataclass
class Place:
    """A database, and a live token in it."""

    database: Database
    vault: Vault
    store: DocumentStore
    chain: Ledger

    def rounds(self, settling: timedelta = AT_ONCE) -> Rounds:
        return Rounds(self.database, self.chain.chain_id, settling)


@pytest.fixture
def place(fresh_database: Database, vault: Vault, store: DocumentStore) -> Place:
    with fresh_database.transaction() as session:
        chain = ledger.live(Desk(session, vault, store), 600, 400)
    return Place(fresh_database, vault, store, chain)


def write(place: Place, act: object) -> None:
    with place.database.transaction() as session:
        act(ledger.resumed(place.chain, Desk(session, place.vault, place.store)))  # type: ignore[operator]


def found(place: Place) -> set[str]:
    with place.database.reading() as session:
        return set(session.exec(select(ReconciliationBreak.rule)).all())


def test_rounds__token_as_it_should_be__open_nothing(place: Place) -> None:
    assert place.rounds().turn() == 0
    assert found(place) == set()


def test_rounds__token_moves__is_looked_at_again_and_a_break_opened_once(place: Place) -> None:
    rounds = place.rounds()
    rounds.turn()
    write(place, lambda chain: chain.freeze(chain.holders[0].wallet.address))

    assert rounds.turn() == 1
    assert found(place) == {"ORD-01"}
    assert rounds.turn() == 1, "what differs is asked everything: no case has frozen it"
    assert found(place) == {"ORD-01", "TOK-07"}
    assert rounds.turn() == 0
    assert place.rounds().turn() == 0, "after a start it is found again, and open already"


def test_rounds__stranger_who_holds__is_found_by_the_daily_round(place: Place) -> None:
    one = place.chain.holders[0].wallet.address
    write(place, lambda chain: chain.move(one, secrets.token_bytes(20), 100))

    assert place.rounds().turn() == 1
    assert found(place) == {"TOK-03"}


def test_rounds__act_that_was_read_late__is_found_by_the_daily_round(place: Place) -> None:
    one = place.chain.holders[0].wallet.address
    write(place, lambda chain: chain.freeze_units(one, 100))
    write(
        place,
        lambda chain: chain.mine({"kind": EventKind.TOKENS_UNFROZEN, "target": one, "units": 100}),
    )

    assert place.rounds().turn() == 2
    assert found(place) == {"TOK-07"}


def last_seen(place: Place) -> set[datetime]:
    with place.database.reading() as session:
        return set(session.exec(select(ReconciliationBreak.last_seen_at)).all())


def write_off(place: Place) -> None:
    with place.database.transaction() as session:
        for item in session.exec(select(ReconciliationBreak)).all():
            reconciliation.investigate_break(session, make.ACTORS[Role.OPERATIONS], item.id)
            for who, role in (
                (make.COMPLIANCE, Role.COMPLIANCE),
                (make.CHECKER, Role.REGISTRAR_CHECKER),
            ):
                reconciliation.accept_loss(session, who, item.id, role=role, reason="It is known.")
            assert item.state == BreakState.WRITTEN_OFF


def test_rounds__difference_that_is_written_off__is_asked_daily_and_not_at_every_turn(
    place: Place,
) -> None:
    one = place.chain.holders[0].wallet.address
    write(place, lambda chain: chain.freeze_units(one, 100))
    write(
        place,
        lambda chain: chain.mine({"kind": EventKind.TOKENS_UNFROZEN, "target": one, "units": 100}),
    )
    rounds = place.rounds()
    assert rounds.turn() == 2
    write_off(place)
    before = last_seen(place)

    rounds.turn()
    assert last_seen(place) == before, "nobody has looked"

    token = place.chain.tokenization.id
    rounds._looked[token] = replace(rounds._looked[token], whole_at=-DAY.total_seconds())
    assert rounds.turn() == 0, "what is written off opens no other"
    assert min(last_seen(place)) > max(before)


def test_rounds__tokens_that_go_on_differing__keep_no_other_from_its_turn(
    place: Place,
) -> None:
    with place.database.transaction() as session:
        desk = Desk(session, place.vault, place.store)
        chain = ledger.resumed(place.chain, desk)
        other = ledger.live_beside(chain, 10)
        for token in (chain, other):
            token.freeze(token.holders[0].wallet.address)
    rounds = Rounds(place.database, place.chain.chain_id, AT_ONCE, at_once=1)

    assert [rounds.turn() for _ in range(3)] == [2, 2, 0]


@pytest.fixture
def others(place: Place) -> list[UUID]:
    """Three more live tokens, in the order of their ids behind the first."""
    with place.database.transaction() as session:
        chain = ledger.resumed(place.chain, Desk(session, place.vault, place.store))
        return [ledger.live_beside(chain, 10).tokenization.id for _ in range(3)]


class Asked(Rounds):
    """Rounds that tell of which tokens they asked, and may fail at one."""

    asked: list[UUID]
    failing: UUID | None = None

    def _ask(self, token: UUID, rules: Sequence[str]) -> Mapping[Key, Difference]:
        self.asked.append(token)
        if token == self.failing:
            raise OSError("the database went away")
        return super()._ask(token, rules)


def asking(place: Place, at_once: int) -> Asked:
    rounds = Asked(place.database, place.chain.chain_id, AT_ONCE, at_once=at_once)
    rounds.asked = []
    return rounds


def test_rounds__tokens_that_move_at_every_turn__keep_no_other_from_its_day(
    place: Place, others: list[UUID]
) -> None:
    rounds = asking(place, at_once=1)
    one, two = (holder.wallet.address for holder in place.chain.holders)
    first = place.chain.tokenization.id
    for _ in range(5):
        rounds.turn()
        write(place, lambda chain: chain.move(one, two, 1))

    assert sorted(rounds.asked[:4]) == sorted([first, *others])
    assert rounds.asked[4] == first, "whose day has not ended waits for it"


def test_rounds__more_tokens_move_than_fit_in_a_turn__are_asked_in_turn(
    place: Place, others: list[UUID]
) -> None:
    rounds = asking(place, at_once=4)
    rounds.turn()
    rounds.at_once, rounds.asked = 2, []
    for _ in range(2):
        for token, looked in rounds._looked.items():
            rounds._looked[token] = replace(looked, block=None)
        rounds.turn()

    assert set(rounds.asked) == {place.chain.tokenization.id, *others}


def test_rounds__turn_that_breaks_off__leaves_the_others_due(
    place: Place, others: list[UUID]
) -> None:
    rounds = asking(place, at_once=4)
    rounds.failing = place.chain.tokenization.id
    with pytest.raises(OSError, match="went away"):
        rounds.turn()
    assert rounds.asked == [rounds.failing]
    rounds.asked = []

    with pytest.raises(OSError, match="went away"):
        rounds.turn()

    assert rounds.asked == [*others, rounds.failing], "what failed is asked last"


def test_watch__token_that_is_refused__holds_no_other_up(place: Place) -> None:
    one = place.chain.holders[0].wallet.address
    write(place, lambda chain: chain.freeze(one))
    with place.database.transaction() as session:
        desk = Desk(session, place.vault, place.store)
        ledger.live_beside(ledger.resumed(place.chain, desk), 10).freeze(one)
        place_of_first = select(Token).where(col(Token.address) == place.chain.address)
        refused = session.exec(place_of_first).one()
        refused.refusal, refused.refused_at = "it moved what cannot be", refused.block_number
    watch = Watch(place.database, place.chain.chain_id)

    assert watch.look() == 1
    assert found(place) == {"TOK-07"}
    assert watch.look() == 0


def test_rounds__difference_of_a_moment__opens_nothing(place: Place) -> None:
    rounds = place.rounds(timedelta(hours=1))
    one = place.chain.holders[0].wallet.address
    write(place, lambda chain: chain.freeze(one))
    assert rounds.turn() == 0
    assert {rule for _, rule, _ in rounds._seen} == {"ORD-01", "TOK-07"}

    write(place, lambda chain: chain.freeze(one, frozen=False))
    rounds.turn()
    assert {rule for _, rule, _ in rounds._seen} == {"TOK-07"}, "what was done stays done"
    assert found(place) == set()


def only_case(chain: Ledger) -> Case:
    [case] = cases.list_cases(chain.desk.session, state=None, kind=None, after=None, limit=2)
    return case


def test_order__that_the_chain_obeys_and_lets_go__is_in_force_and_over_by_itself(
    place: Place,
) -> None:
    wallet = place.chain.holders[0].wallet.address
    received = now() - timedelta(minutes=42)
    order_id = []

    def apply(chain: Ledger) -> None:
        order = court.on_wallet(chain.desk, wallet, received_at=received)
        order_id.append(court.apply(chain.desk, order).id)

    write(place, apply)
    assert sweep(place.database)["court_order_confirm"] == 0
    write(place, lambda chain: make_case.carry_out(chain, only_case(chain)))
    assert sweep(place.database)["court_order_confirm"] == 1
    order = state_of(place, order_id[0])
    assert order.state == CourtOrderState.IN_FORCE
    assert orders.minutes_to_apply(order) == 42

    write(
        place,
        lambda chain: court.vacate(chain.desk, chain.desk.session.get_one(CourtOrder, order_id[0])),
    )
    assert sweep(place.database)["court_order_lift"] == 0
    write(place, lambda chain: chain.freeze(wallet, frozen=False))
    assert sweep(place.database)["court_order_lift"] == 1
    assert state_of(place, order_id[0]).state == CourtOrderState.VACATED


def test_order__on_more_than_there_is__ends_by_itself_and_frees_what_it_froze(
    place: Place,
) -> None:
    order_id, case_id = [], []

    def apply(chain: Ledger) -> None:
        order = court.authenticate(
            chain.desk, court.on_amount(chain.desk, chain, 700, ends_on=today())
        )
        order_freeze.apply_order(chain.desk.session, court.SECOND_COMPLIANCE, order.id)
        case = only_case(chain)
        make_case.carry_out(chain, case)
        order_id.append(order.id)
        case_id.append(case.id)

    def run_out(chain: Ledger) -> None:
        first, second = (holder.wallet.address for holder in chain.holders)
        chain.move(second, first, 250)
        order = chain.desk.session.get_one(CourtOrder, order_id[0])
        order.issued_on = order.ends_on = today() - timedelta(days=1)

    write(place, apply)
    assert sweep(place.database)["court_order_confirm"] == 0
    write(place, run_out)
    rung = sweep(place.database)

    assert (rung["order_expire"], rung["court_order_freeze"]) == (1, 0)
    assert rung["court_order_release"] == 1
    assert state_of(place, order_id[0]).state == CourtOrderState.EXPIRED
    with place.database.reading() as session:
        assert cases.get_case(session, case_id[0]).state == CaseState.LIFTING


def state_of(place: Place, order_id: object) -> CourtOrder:
    with place.database.reading() as session:
        return session.get_one(CourtOrder, order_id)


# Money stops


def open_break(desk: Desk, chain: Ledger) -> ReconciliationBreak:
    chain.freeze(chain.holders[0].wallet.address)
    reconciliation.run_checks(desk.session, chain.tokenization.id)
    return desk.session.exec(
        select(ReconciliationBreak).where(col(ReconciliationBreak.rule) == "ORD-01")
    ).one()


def test_redemption__of_a_token_with_an_open_break__is_not_paid(desk: Desk) -> None:
    made = stages.funded(desk)
    open_break(desk, made.ledger)
    with pytest.raises(Conflict, match="break_open"):
        paying.start_paying(desk.session, TREASURY, made.redemption.id)


def test_redemption__break_opens_while_it_is_paid__stops_the_next_payout(desk: Desk) -> None:
    made = stages.being_paid(desk)
    payout = list_payouts(desk.session, made.redemption.id)[0]
    open_break(desk, made.ledger)
    with pytest.raises(Conflict, match="break_open"):
        paying.record_payout(desk.session, TREASURY, payout.id, rail_reference="R-1")


def find_break(desk: Desk, offering_id: UUID) -> None:
    """Have something differ of the token that is sold."""
    sale = desk.session.get_one(Offering, offering_id)
    item = ReconciliationBreak(
        tokenization_id=sale.tokenization_id, rule="TOK-02", subject="supply", detail="5 exist.",
        last_seen_at=now(),
    )  # fmt: skip
    desk.session.add(item)
    desk.session.flush()


def test_refund__of_a_token_with_an_open_break__waits(desk: Desk) -> None:
    sale = sales.offering(desk, sales.wrapped_apartment(desk))
    order = sales.order(desk, sale, make.buyer(desk))
    find_break(desk, sale.id)
    with pytest.raises(Conflict, match="break_open"):
        record_refund(desk.session, TREASURY, order.id, rail_reference="R-1")


def test_proceeds__of_a_token_with_an_open_break__wait(desk: Desk) -> None:
    _, payout = proceeds(desk)
    find_break(desk, payout.offering_id)
    with pytest.raises(Conflict, match="break_open"):
        payouts.confirm_payout(desk.session, COLLEAGUE, payout.id, rail_reference="OUT-1")
    assert payout.state == ProceedsPayoutState.PROPOSED


def test_settlement__of_a_token_with_an_open_break__is_neither_planned_nor_signed(
    desk: Desk,
) -> None:
    placed = [sales.on_chain(desk, make.buyer(desk)) for _ in range(2)]
    settle = [
        partial(
            settlements.plan_settlement,
            desk.session,
            COMPLIANCE,
            order.id,
            Agreed(order.units, order.amount_paisa, signature=bytes(65)),
        )
        for order in placed
    ]
    planned = settle[0]()
    for order in placed:
        find_break(desk, order.offering_id)

    with pytest.raises(Conflict, match="break_open"):
        settlements.require_settlable(desk.session, planned)
    with pytest.raises(Conflict, match="break_open"):
        settle[1]()
    assert placed[1].state == OrderState.AWAITING_PAYMENT


def test_break__of_another_token__stops_nothing(desk: Desk) -> None:
    chain, other = ledger.live(desk, 10), ledger.live(desk, 20)
    open_break(desk, other)
    assert desk.session.get(SyncCursor, chain.chain_id) is not None
    require_no_break(desk.session, chain.tokenization)
    with pytest.raises(Conflict, match="break_open"):
        require_no_break(desk.session, other.tokenization)
