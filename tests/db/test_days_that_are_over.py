"""A day is over once the newest final block is of a later time: of one before, more may come."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from registry.captable.contract_models import FollowedContract
from registry.captable.models import SyncCursor
from registry.captable.trades import SETTLEMENT, is_read_for_good
from registry.kernel.clock import now, today
from registry.kernel.errors import Unavailable
from registry.portfolio.period import Period
from registry.portfolio.statement import make_statement
from tests import factories as make
from tests import ledger
from tests.factories import Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db


@pytest.fixture
def chain(desk: Desk) -> Ledger:
    """Give a chain of five days ago, with the settlement, of which every block is final."""
    chain = ledger.live(desk, 10, days_ago=5)
    settlement = FollowedContract(
        chain_id=chain.chain_id,
        address=b"\x01" * 20,
        name=SETTLEMENT,
        block_number=1,
        caught_up_to=None,
        read_from=1,
    )
    desk.session.add(settlement)
    chain.finalize()
    return chain


def mine_at(chain: Ledger, moment: datetime) -> None:
    chain.started = moment
    chain.mine()
    chain.finalize()


def test_statement__clock_was_set_back_behind_its_end__is_refused_until_that_is_over_again(
    desk: Desk, chain: Ledger
) -> None:
    period = Period(today() - timedelta(days=9), today() - timedelta(days=2))
    me, other = chain.holders[0], make.buyer(desk)

    def closing_units() -> int:
        (account,) = make_statement(desk.session, me.investor, period, chain.chain_id).holdings
        return account.closing_units

    mine_at(chain, now() - timedelta(minutes=1))
    assert closing_units() == 10

    mine_at(chain, now() - timedelta(days=4))
    with pytest.raises(Unavailable, match="statement_not_complete"):
        closing_units()
    chain.move(me.wallet.address, other.wallet.address, 4)
    mine_at(chain, now() - timedelta(minutes=1))
    assert closing_units() == 6


def test_is_read_for_good__clock_was_set_back_behind_it__is_not_until_it_has_passed_again(
    desk: Desk, chain: Ledger
) -> None:
    ended = now() - timedelta(days=2)

    def is_over() -> bool:
        return is_read_for_good(desk.session, chain.chain_id, ended)

    assert not is_over()
    mine_at(chain, ended + timedelta(hours=1))
    assert is_over()
    mine_at(chain, ended - timedelta(hours=1))
    assert not is_over()
    mine_at(chain, ended + timedelta(hours=1))
    assert is_over()


@pytest.mark.parametrize("doubt", ["settlement_behind", "degraded"])
def test_is_read_for_good__what_was_read_is_not_all_of_it__is_not(
    desk: Desk, chain: Ledger, doubt: str
) -> None:
    ended = now() - timedelta(days=2)
    mine_at(chain, now() - timedelta(minutes=1))
    if doubt == "degraded":
        cursor = desk.session.get_one(SyncCursor, chain.chain_id, populate_existing=True)
        cursor.degraded, cursor.degraded_since = "reorg_below_finality", now()
    else:
        settlement = desk.session.get_one(FollowedContract, (chain.chain_id, b"\x01" * 20))
        settlement.caught_up_to = 1
    desk.session.flush()

    assert not is_read_for_good(desk.session, chain.chain_id, ended)
