"""Rules of alerts: what each finds, once, through reorgs; and who decides on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from fractions import Fraction
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import Session, col, select

from registry.alert import departures as departing
from registry.alert import rounds
from registry.alert import service as alerts
from registry.alert.models import Alert, AlertRule, AlertState
from registry.alert.service import AlertFilter
from registry.captable.bulk import cursor_of
from registry.captable.models import ChainBlock, EventKind
from registry.investor.models import Investor
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.notice.models import Notice
from registry.policy import service as policies
from registry.policy.models import PolicyName
from tests import factories as make
from tests import intakes, ledger
from tests.factories import CHECKER, COMPLIANCE, Buyer, Desk
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER
from tests.ledger import Ledger

pytestmark = pytest.mark.db

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WHY = "Sold a house; the deed is on file."


def look(desk: Desk, chain: Ledger) -> int:
    """Take a round of the rules on the chain."""
    seen = rounds.look_at_chain(desk.session, desk.vault, chain.chain_id)
    return rounds.note_chain(desk.session, desk.vault, seen) if seen else 0


def raised(desk: Desk, rule: AlertRule) -> list[Alert]:
    query = select(Alert).where(col(Alert.rule) == rule).order_by(col(Alert.id))
    return list(desk.session.exec(query).all())


def crossings(desk: Desk) -> list[tuple[UUID | None, str]]:
    found = raised(desk, AlertRule.LARGE_HOLDER_CROSSED)
    return [(alert.party_id, alert.evidence["direction"]) for alert in found]


def wallets(chain: Ledger) -> Sequence[bytes]:
    return [holder.wallet.address for holder in chain.holders]


# Large holders


def test_large_holder__share_reached_and_left__is_told_of_each_way(desk: Desk) -> None:
    chain = ledger.live(desk, 901, 99)
    large, small = (holder.investor.party_id for holder in chain.holders)
    assert look(desk, chain) == 1
    assert crossings(desk) == [(large, "UP")]

    one, other = wallets(chain)
    chain.move(one, other, 1)
    chain.move(other, one, 1)
    assert look(desk, chain) == 2

    assert crossings(desk)[1:] == [(small, "UP"), (small, "DOWN")]
    alert = raised(desk, AlertRule.LARGE_HOLDER_CROSSED)[1]
    assert alert.evidence == {
        "before_units": "99",
        "after_units": "100",
        "declared_units": "1000",
        "direction": "UP",
        "threshold_share": "1/10",
        "threshold_units": "100",
    }
    assert alert.tokenization_id == chain.tokenization.id
    assert alert.block_hash == chain.block(alert.block_number or 0).hash
    assert look(desk, chain) == 0


def test_large_holder__wallets_of_one_party__count_together(desk: Desk) -> None:
    chain = ledger.live(desk, 940, 60)
    look(desk, chain)
    who = chain.holders[1]
    second = make.proven_wallet(desk, who.actor, who.investor.id)
    chain.register(second.address)
    chain.move(who.wallet.address, second.address, 30)
    assert look(desk, chain) == 0

    chain.move(wallets(chain)[0], second.address, 40)
    assert look(desk, chain) == 1
    assert crossings(desk)[-1] == (who.investor.party_id, "UP")


def test_large_holder__policy_once_confirmed__says_from_where_on(desk: Desk) -> None:
    proposed = policies.propose_policy(
        desk.session,
        COMPLIANCE,
        PolicyName.LARGE_HOLDER,
        value=Fraction(1, 20),
        source="SECP circular 9 of 2026",
        valid_from=today() - 5 * DAY,
    )
    chain = ledger.live(desk, 940, 60)
    look(desk, chain)
    assert len(crossings(desk)) == 1

    policies.confirm_policy(desk.session, CHECKER, proposed.id)
    one, other = wallets(chain)
    chain.move(one, other, 1)
    look(desk, chain)

    assert crossings(desk)[1:] == []
    chain.move(other, one, 12)
    look(desk, chain)
    small = chain.holders[1].investor.party_id
    assert crossings(desk)[1:] == [(small, "DOWN")]


def test_large_holder__policy_of_the_block__says_nothing_of_earlier_ones(desk: Desk) -> None:
    chain = ledger.live(desk, 940, 60, days_ago=9)
    intakes.threshold(desk, PolicyName.LARGE_HOLDER, Fraction(1, 20), today() - DAY)

    assert look(desk, chain) == 1

    chain.started += 9 * DAY
    one, other = wallets(chain)
    chain.move(other, one, 12)
    assert look(desk, chain) == 1
    small = chain.holders[1].investor.party_id
    assert crossings(desk)[1:] == [(small, "DOWN")]


def test_large_holder__wallet_of_nobody__is_one_of_its_own(desk: Desk) -> None:
    chain = ledger.live(desk, 1000)
    look(desk, chain)
    stranger = b"\7" * 20
    chain.move(wallets(chain)[0], stranger, 100)
    look(desk, chain)

    alert = raised(desk, AlertRule.LARGE_HOLDER_CROSSED)[-1]
    assert (alert.party_id, alert.wallet) == (None, stranger)


def prove(desk: Desk, who: Buyer, address: bytes) -> None:
    make.proven_wallet(desk, who.actor, who.investor.id, address=address)


def look_at_wallets(desk: Desk, chain: Ledger) -> int:
    return rounds.look_at_wallets(desk.session, desk.vault, chain.chain_id)


def test_large_holder__proves_a_wallet_that_holds__is_told_once(desk: Desk) -> None:
    chain = ledger.live(desk, 940, 60)
    large, small = chain.holders
    one, other = b"\7" * 20, b"\x08" * 20
    chain.move(wallets(chain)[0], one, 30)
    chain.move(wallets(chain)[0], other, 10)
    look(desk, chain)
    assert look_at_wallets(desk, chain) == 0
    assert crossings(desk) == [(large.investor.party_id, "UP")]

    prove(desk, small, one)
    assert look_at_wallets(desk, chain) == 0, "nine tenths of what is large"
    prove(desk, small, other)
    assert look_at_wallets(desk, chain) == 1
    prove(desk, small, b"\x09" * 20)
    assert look_at_wallets(desk, chain) == 0

    assert crossings(desk)[1:] == [(small.investor.party_id, "UP")]
    alert = raised(desk, AlertRule.LARGE_HOLDER_CROSSED)[1]
    assert alert.evidence == {
        "before_units": "90",
        "after_units": "100",
        "declared_units": "1000",
        "direction": "UP",
        "threshold_share": "1/10",
        "threshold_units": "100",
        "proven_wallet": f"0x{other.hex()}",
        "at_block": str(head(desk, chain)),
    }
    assert (alert.tokenization_id, alert.block_number) == (chain.tokenization.id, head(desk, chain))
    chain.move(other, one, 10)
    assert look(desk, chain) == 0, "the rules of the chain count it as the party's"
    chain.move(one, wallets(chain)[0], 1)
    look(desk, chain)
    assert crossings(desk)[2:] == [(small.investor.party_id, "DOWN")]


def test_large_holder__wallet_that_a_block_filled_since__is_told_by_the_block_alone(
    desk: Desk,
) -> None:
    chain = ledger.live(desk, 940, 60)
    look(desk, chain)
    who, one = chain.holders[1], b"\7" * 20
    prove(desk, who, one)
    chain.move(wallets(chain)[0], one, 40)

    assert look_at_wallets(desk, chain) == 0, "the block is not looked at"
    look(desk, chain)
    assert look_at_wallets(desk, chain) == 0

    assert crossings(desk)[1:] == [(who.investor.party_id, "UP")]


# In and out


def departures(desk: Desk) -> list[Alert]:
    return raised(desk, AlertRule.RAPID_IN_AND_OUT)


def test_rapid__bought_and_left_within_the_days__is_told(desk: Desk) -> None:
    chain = ledger.live(desk, 950, 50, days_ago=20)
    one, other = wallets(chain)
    chain.started += timedelta(days=10)
    chain.move(other, one, 44)
    look(desk, chain)
    assert departures(desk) == []

    chain.move(other, one, 1)
    look(desk, chain)
    (alert,) = departures(desk)
    assert alert.party_id == chain.holders[1].investor.party_id
    assert alert.evidence["most_units"] == "50"
    assert (alert.evidence["before_units"], alert.evidence["after_units"]) == ("6", "5")

    chain.move(other, one, 5)
    look(desk, chain)
    assert departures(desk) == [alert], "it has left already"


def given(source: bytes, target: bytes, units: int) -> dict[str, Any]:
    return {"kind": EventKind.TRANSFER, "source": source, "target": target, "units": units}


@pytest.mark.parametrize("passed", [500, 450])
def test_rapid__passed_on_within_one_block__is_told(desk: Desk, passed: int) -> None:
    chain = ledger.live(desk, 1000)
    look(desk, chain)
    (one,) = wallets(chain)
    between, other = b"\7" * 20, b"\x08" * 20
    chain.mine(given(one, between, 500), given(between, other, passed))
    look(desk, chain)

    (alert,) = departures(desk)
    assert alert.wallet == between
    block = alert.block_number
    assert alert.evidence == {
        "before_units": "0",
        "after_units": str(500 - passed),
        "declared_units": "1000",
        "bought_at": alert.happened_at.isoformat(),
        "bought_in_block": str(block),
        "most_units": "500",
        "days": 30,
    }
    if passed < 500:
        chain.move(between, other, 500 - passed)
        look(desk, chain)
        assert departures(desk) == [alert], "it has left already"


@pytest.mark.parametrize("is_cut", [True, False])
def test_rapid__most_of_it_passed_on_within_one_block_and_the_rest_later__is_told(
    desk: Desk, is_cut: bool
) -> None:
    """What it had at most it had within a block, of which 6 of 50 are left: of so little by itself
    nothing is told."""
    chain = ledger.live(desk, 1000)
    look(desk, chain)
    (one,) = wallets(chain)
    between, other = b"\7" * 20, b"\x08" * 20
    chain.mine(given(one, between, 50), given(between, other, 44))
    if is_cut:
        look(desk, chain)
        assert departures(desk) == []
    chain.move(between, other, 6)
    look(desk, chain)

    (alert,) = departures(desk)
    assert (alert.wallet, alert.evidence["most_units"]) == (between, "50")
    assert (alert.evidence["before_units"], alert.evidence["after_units"]) == ("6", "0")
    assert alert.evidence["bought_in_block"] == str((alert.block_number or 0) - 1)


@pytest.mark.parametrize(
    ("inventory", "is_past_read"),
    [(200, False), (60, True)],
    ids=["more_than_a_tenth_of_all", "as_much_as_at_first"],
)
def test_rapid__trades_all_the_time_and_keeps_its_inventory__has_no_events_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, inventory: int, is_past_read: bool
) -> None:
    """In its blocks lie all events of the token: to read them is as much as the token trades."""
    chain = ledger.live(desk, 1000 - inventory, inventory, days_ago=50)
    chain.started += timedelta(days=40)
    one, maker = wallets(chain)
    for _ in range(3):
        chain.move(maker, one, 5)
        chain.move(one, maker, 5)
    look(desk, chain)
    chain.move(maker, one, 5)

    read: list[str] = []

    @contextmanager
    def noting(session: Session) -> Iterator[Any]:
        with cursor_of(session) as cursor:

            def execute(query: str, values: dict[str, Any]) -> Any:
                read.append(query)
                return cursor.execute(query, values)

            yield SimpleNamespace(execute=execute)

    monkeypatch.setattr(departing, "cursor_of", noting)
    look(desk, chain)

    assert departures(desk) == []
    assert len(read) == is_past_read
    assert not any("token_event" in query for query in read)


def test_rapid__had_at_first_what_is_left_of_the_most_within_a_block__is_told(desk: Desk) -> None:
    """What blocks left it does not rule that out: 50 are a tenth of the 500 that it had in one."""
    chain = ledger.live(desk, 950, 50, days_ago=50)
    chain.started += timedelta(days=40)
    one, other = wallets(chain)
    chain.mine(given(one, other, 450), given(other, one, 440))
    look(desk, chain)
    chain.move(other, one, 10)
    look(desk, chain)

    last = departures(desk)[-1]
    assert (last.evidence["before_units"], last.evidence["after_units"]) == ("60", "50")
    assert last.evidence["most_units"] == "500"


def test_rapid__taken_by_force_within_the_block_it_came__is_no_departure(desk: Desk) -> None:
    chain = ledger.live(desk, 1000)
    look(desk, chain)
    (one,) = wallets(chain)
    between = b"\7" * 20
    chain.mine(given(one, between, 50), given(between, one, 50) | {"extra": {"forced": True}})
    look(desk, chain)

    assert departures(desk) == []


def test_rapid__after_the_days_or_of_little__is_nothing(desk: Desk) -> None:
    chain = ledger.live(desk, 941, 50, 9, days_ago=50)
    one, other, little = wallets(chain)
    chain.move(little, one, 9)
    chain.started += timedelta(days=31)
    chain.move(other, one, 50)
    look(desk, chain)

    assert departures(desk) == []


def test_rapid__taken_by_force_or_redeemed__is_no_departure(desk: Desk) -> None:
    chain = ledger.live(desk, 900, 50, 50)
    one, other, third = wallets(chain)
    chain.burn(third, 50)
    move = {"kind": EventKind.TRANSFER, "source": other, "target": one, "units": 50}
    chain.mine(move | {"extra": {"forced": True}})
    look(desk, chain)

    assert departures(desk) == []


# Reorgs


def head(desk: Desk, chain: Ledger) -> int:
    query = select(ChainBlock.number).where(col(ChainBlock.chain_id) == chain.chain_id)
    return max(desk.session.exec(query).all())


def test_reorg__block_of_an_alert_is_taken__says_so_and_keeps_the_evidence(desk: Desk) -> None:
    chain = ledger.live(desk, 901, 99)
    look(desk, chain)
    before = head(desk, chain)
    one, other = wallets(chain)
    chain.move(one, other, 1)
    look(desk, chain)
    alert = raised(desk, AlertRule.LARGE_HOLDER_CROSSED)[-1]
    alerts.review_alert(desk.session, FIRST_OFFICER, alert.id, reason=WHY)
    evidence = dict(alert.evidence)

    chain.take_back(before)
    assert look(desk, chain) == 0
    desk.session.refresh(alert)
    assert alert.taken_back_at is not None
    assert (alert.state, alert.evidence) == (AlertState.REVIEWED, evidence)


def test_reorg__transaction_comes_again_in_a_later_block__is_the_same_alert(desk: Desk) -> None:
    chain = ledger.live(desk, 901, 99)
    look(desk, chain)
    before = head(desk, chain)
    one, other = wallets(chain)
    event = {"kind": EventKind.TRANSFER, "source": one, "target": other, "units": 1}
    event["tx_hash"] = b"\5" * 32
    chain.mine(event)
    look(desk, chain)
    (alert,) = raised(desk, AlertRule.LARGE_HOLDER_CROSSED)[1:]

    chain.take_back(before)
    look(desk, chain)
    chain.mine()
    chain.mine(event)
    assert look(desk, chain) == 0

    (again,) = raised(desk, AlertRule.LARGE_HOLDER_CROSSED)[1:]
    assert again.id == alert.id
    assert again.taken_back_at is None
    assert again.block_number == before + 2


def test_round__that_another_one_overtook__notes_nothing(desk: Desk) -> None:
    chain = ledger.live(desk, 1000)
    late = rounds.look_at_chain(desk.session, desk.vault, chain.chain_id)
    assert late is not None
    assert look(desk, chain) == 1

    assert rounds.note_chain(desk.session, desk.vault, late) == 0


# Names


def test_name__on_the_list__is_told_once_of_each_hit(desk: Desk) -> None:
    party_id = intakes.listed_party(desk)

    assert rounds.look_at_hits(desk.session) == 1
    assert rounds.look_at_hits(desk.session) == 0
    (alert,) = raised(desk, AlertRule.SANCTIONED_NAME)
    assert (alert.party_id, alert.evidence["reference"]) == (party_id, "XXi.001")
    assert "Barlasi" not in str(alert.evidence)


# Deciding


@pytest.fixture
def alert(desk: Desk) -> Alert:
    intakes.listed_party(desk)
    rounds.look_at_hits(desk.session)
    (found,) = raised(desk, AlertRule.SANCTIONED_NAME)
    return found


def test_dismiss__by_whoever_reviewed__is_refused(desk: Desk, alert: Alert) -> None:
    alerts.review_alert(desk.session, FIRST_OFFICER, alert.id, reason=WHY)
    with pytest.raises(Forbidden, match="checker_is_maker"):
        alerts.dismiss_alert(desk.session, FIRST_OFFICER, alert.id, reason=WHY)
    assert alert.state == AlertState.REVIEWED

    alerts.dismiss_alert(desk.session, SECOND_OFFICER, alert.id, reason="Agreed.")
    assert (alert.state, alert.decided_by) == (AlertState.DISMISSED, SECOND_OFFICER.subject)
    with pytest.raises(Conflict, match="transition_refused"):
        alerts.escalate_alert(desk.session, FIRST_OFFICER, alert.id, reason=WHY)


def test_dismiss__never_looked_at_or_without_a_reason__is_refused(desk: Desk, alert: Alert) -> None:
    with pytest.raises(Conflict, match="transition_refused"):
        alerts.dismiss_alert(desk.session, FIRST_OFFICER, alert.id, reason=WHY)
    with pytest.raises(Invalid, match="reason_missing"):
        alerts.review_alert(desk.session, FIRST_OFFICER, alert.id, reason=" ")
    assert alert.state == AlertState.OPEN


def test_alert__about_an_officer__does_not_exist_for_them(desk: Desk) -> None:
    chain = ledger.live(desk, 1000)
    look(desk, chain)
    (alert,) = raised(desk, AlertRule.LARGE_HOLDER_CROSSED)
    about = chain.holders[0].actor
    officer = Actor(about.subject, frozenset({Role.COMPLIANCE}))

    with pytest.raises(NotFound):
        alerts.get_alert(desk.session, officer, alert.id)
    with pytest.raises(NotFound):
        alerts.review_alert(desk.session, officer, alert.id, reason=WHY)
    assert seen_by(desk.session, officer) == []
    assert seen_by(desk.session, FIRST_OFFICER) == [alert]


def seen_by(session: Session, actor: Actor) -> list[Alert]:
    return list(alerts.list_alerts(session, actor, AlertFilter(), after=None, limit=10))


def test_alert__tells_nobody_it_is_about(desk: Desk) -> None:
    """No notice is written to the investor, whom the chain's own events are told as ever."""
    chain = ledger.live(desk, 1000)
    look(desk, chain)
    subject = desk.session.exec(
        select(Investor.subject).where(col(Investor.id) == chain.holders[0].investor.id)
    ).one()

    told = desk.session.exec(select(Notice).where(col(Notice.principal) == subject)).all()
    assert [notice for notice in told if "alert" in notice.kind] == []
