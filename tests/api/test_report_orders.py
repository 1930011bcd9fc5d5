"""R-12, R-15, R-16 and R-23, each against the journal, or the blocks that the test mined."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from eth_utils.address import to_checksum_address

from registry.asset.models import Asset
from registry.captable.models import EventKind
from registry.court_order import lifting
from registry.court_order import service as orders
from registry.court_order.models import CourtOrder
from registry.filing import suspicion
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.kernel.ids import new_id
from registry.kyc_standing import service as standing
from registry.operation import service as operations
from registry.operation.models import Operation, OperationAttempt, OperationKind, OperationState
from registry.party.models import PartyKind
from registry.reconciliation import service as reconciliation
from registry.redemption import paying
from registry.redemption.repository import list_payouts
from registry.sanctions import hits, lists
from registry.sanctions.models import SanctionsHit, Verdict
from registry.sanctions.screening import screen_party
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from tests import court, intakes, ledger, redemptions
from tests import factories as make
from tests.api.house import House, problem_of
from tests.api.moves import Moves, minted, moved, moves, wallet_no
from tests.api.reports import Replayed, ask, instant, person, read, rows_of
from tests.db.past import journal_of
from tests.factories import COMPLIANCE, Desk
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER
from tests.redemptions import TREASURY
from tests.sanctioned import file_of

pytestmark = pytest.mark.db


@pytest.fixture(scope="module")
def ours(house: House) -> Moves:
    return moves(house, 2)


#


@dataclass(frozen=True)
class Ordered:
    """An order on a wallet, in force and lifted since, and one that was only received."""

    order_id: str
    before: datetime


def freeze_in_force(desk: Desk) -> tuple[ledger.Ledger, CourtOrder]:
    """Have a wallet frozen by an order that was received 17 minutes ago, on a chain of its own."""
    chain = ledger.live(desk, 600, 400)
    wallet = chain.holders[0].wallet.address
    received = now() - timedelta(minutes=17)
    order = court.apply(desk, court.on_wallet(desk, wallet, received_at=received))
    chain.freeze(wallet)
    reconciliation.confirm_order(desk.session, order.id)
    return chain, order


@pytest.fixture(scope="module")
def ordered(house: House, ours: Moves) -> Ordered:
    with house.desk() as desk:
        chain, order = freeze_in_force(desk)
        court.on_wallet(desk, chain.holders[1].wallet.address)
    before = now()
    with house.desk() as desk:
        resumed = ledger.resumed(chain, desk)
        court.vacate(desk, desk.session.get_one(CourtOrder, order.id))
        resumed.freeze(chain.holders[0].wallet.address, frozen=False)
        reconciliation.lift_order(desk.session, order.id)
    assert ours
    return Ordered(str(order.id), before)


def orders_by_journal(house: House, at: datetime | None) -> list[tuple[Any, ...]]:
    """Compute R-16 a second time, from the journal: each time is the first that was ever written.

    What the row says last of it does not matter, nor what the minutes are counted from there.
    """
    replayed = Replayed.of(house)
    first: dict[tuple[str, str], datetime | None] = {}
    for fact in replayed.facts:
        if fact["table"] == "court_order" and (at is None or _recorded(fact) <= at):
            for name in TIMES:
                if fact["image"][name] is not None:
                    first.setdefault((fact["row_id"], name), instant(fact["image"][name]))
    found = []
    for row in replayed.rows("court_order", at=at):
        times = [first.get((row["id"], name)) for name in TIMES]
        minutes = _whole_minutes(times[0], times[2])
        found.append((row["id"], row["scope"], row["state"], *times, minutes, row["amount_units"]))
    return sorted(found)


TIMES = ("received_at", "applied_at", "in_force_at", "lifted_at")


def _recorded(fact: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(fact["recorded_at"])


def _whole_minutes(begun: datetime | None, ended: datetime | None) -> int | None:
    if begun is None or ended is None:
        return None
    minutes = 0
    while begun + timedelta(minutes=minutes + 1) <= ended:
        minutes += 1
    return minutes


def test_r16__orders__are_those_of_the_journal_now_and_then(house: House, ordered: Ordered) -> None:
    for at in (None, ordered.before):
        when = {} if at is None else {"as_of": at.isoformat()}
        told = [
            (row["order"], row["scope"], row["state"], instant(row["received"]),
             instant(row["applied"]), instant(row["in_force"]), instant(row["lifted"]),
             row["minutes_to_apply"], row["amount"])
            for row in rows_of(house, "R-16", limit=1, **when)
        ]  # fmt: skip
        assert told == orders_by_journal(house, at)
    [lifted] = rows_of(house, "R-16", state="VACATED")
    assert (lifted["order"], lifted["minutes_to_apply"]) == (ordered.order_id, 17)
    assert rows_of(house, "R-16", authority="Supreme Court") == []
    problem_of(ask(house, "R-16", state="GONE"), 422, "request_invalid")


def test_r16__varied__keeps_when_it_first_bound_and_tells_of_the_variation(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It binds throughout, also while it waits to be applied again."""
    with house.desk() as desk:
        _, order = freeze_in_force(desk)

    def told(**when: str) -> dict[str, Any]:
        [row] = [row for row in rows_of(house, "R-16", **when) if row["order"] == str(order.id)]
        return row

    first = told()
    assert (first["minutes_to_apply"], first["varied"], first["variation_in_force"]) == (
        17, None, None,
    )  # fmt: skip
    with house.desk() as desk:
        lifting.vary_order(
            desk.session, COMPLIANCE, order.id, document_sha256=secrets.token_bytes(32),
            ends_on=today() + timedelta(days=9),
        )  # fmt: skip
    waiting = told()
    monkeypatch.setattr(orders, "now", lambda: now() + timedelta(days=150))
    with house.desk() as desk:
        orders.apply_order(desk.session, court.SECOND_COMPLIANCE, order.id)
        reconciliation.confirm_order(desk.session, order.id)
    monkeypatch.undo()
    last = told()

    acts = {
        entry["act"]: instant(entry["acted_at"])
        for entry in journal_of(house.database)
        if entry["kind"] == "act" and entry["subject_id"] == str(order.id)
    }
    assert (waiting["state"], last["state"]) == ("AUTHENTICATED", "IN_FORCE")
    for row in (waiting, last):
        for name in ("received", "applied", "in_force", "minutes_to_apply"):
            assert row[name] == first[name], name
        assert instant(row["varied"]) == acts["court_order_vary"]
    assert waiting["variation_in_force"] is None
    assert instant(last["variation_in_force"]) == acts["court_order_confirmed"]
    assert told(as_of=waiting["varied"])["variation_in_force"] is None
    read_order = house.caller(Role.COMPLIANCE).get(f"/v1/court_orders/{order.id}").json()
    assert read_order["minutes_to_apply"] == 17
    assert instant(read_order["in_force_at"]) == instant(first["in_force"])


def test_r16__executed_by_a_case__names_the_transaction(house: House, ours: Moves) -> None:
    """The case of an order, and the attempt that carried its act out, as the sender leaves them."""
    with house.desk() as desk:
        who = ours.buyers[0]
        order = court.apply(desk, court.on_wallet(desk, who.wallet.address))
        run = desk.session.connection().exec_driver_sql
        paper = run("SELECT id, sha256 FROM document LIMIT 1").one()
        case, act, operation = (new_id() for _ in range(3))
        run(
            "INSERT INTO legal_case (id, recorded_at, kind, state, legal_basis, reason,"
            " document_id, document_sha256, order_id, wallet, takes_frozen, heirs, maker) VALUES"
            " (%s, now(), 'FREEZE_WALLET', 'EXECUTED', 'order', 'order', %s, %s, %s, %s, false,"
            " '[]', 'the-compliance')",
            (case, paper.id, paper.sha256, order.id, who.wallet.address),
        )
        run(
            "INSERT INTO operation (id, recorded_at, kind, key, state, subject_kind, subject_id,"
            " requested_by, params, result) VALUES (%s, now(), 'case_act', %s, 'final',"
            " 'legal_case', %s, 'the-compliance', '{}', '{}')",
            (operation, f"case:{case}", str(case)),
        )
        run(
            "INSERT INTO operation_attempt (tx_hash, operation_id, seq, raw, gas, max_fee_wei,"
            " signed_at_block, signed_at, block_number)"
            " VALUES (%s, %s, 1, 'raw', 1, 1, 1, now(), 7)",
            (b"\x16" * 32, operation),
        )
        run(
            "INSERT INTO case_act (id, case_id, number, act, tokenization_id, wallet, operation_id,"
            " recorded_at) VALUES (%s, %s, 1, 'FREEZE_WALLET', %s, %s, %s, now())",
            (act, case, ours.token_id, who.wallet.address, operation),
        )
        order_id = str(order.id)
    sent = now()
    with house.desk() as desk:
        desk.session.connection().exec_driver_sql(
            "INSERT INTO chain_block (chain_id, number, hash, parent_hash, mined_at)"
            " VALUES (%s, 7, %s, %s, now())",
            (ours.chain_id, b"\x07" * 32, b"\x06" * 32),
        )

    def told(**when: str) -> dict[str, Any]:
        [row] = [row for row in rows_of(house, "R-16", **when) if row["order"] == order_id]
        return row

    assert told()["tx"] == "0x" + "16" * 32
    assert told()["wallet"] == to_checksum_address(who.wallet.address)
    assert told(as_of=sent.isoformat())["tx"] is None, "it was not mined yet"


def carried_out(desk: Desk, operation: Operation) -> str:
    """Have an operation be mined, and return its transaction."""
    tx_hash = secrets.token_bytes(32)
    desk.session.add(
        OperationAttempt(
            tx_hash=tx_hash, operation_id=operation.id, seq=1, raw=b"raw", gas=1, max_fee_wei=1,
            signed_at_block=1, signed_at=now(), block_number=1_000_000,
        )
    )  # fmt: skip
    operation.state = OperationState.FINAL
    desk.session.flush()
    return f"0x{tx_hash.hex()}"


def pause(desk: Desk, chain: ledger.Ledger) -> str:
    """Have somebody pause a token for a reason of their own."""
    token_id = chain.tokenization.id
    done = tokenizations.pause_token(desk.session, COMPLIANCE, token_id, reason="An upgrade")
    chain.pause()
    return carried_out(desk, done)


def unpause(desk: Desk, chain: ledger.Ledger) -> None:
    token_id = chain.tokenization.id
    done = operations.plan(
        desk.session, COMPLIANCE, OperationKind.UNPAUSE, key=f"unpause:{new_id()}",
        subject=("tokenization", token_id), params={"tokenization_id": str(token_id)},
    )  # fmt: skip
    chain.unpause()
    carried_out(desk, done)
    desk.session.get_one(Tokenization, token_id).state = TokenizationState.LIVE
    desk.session.flush()


def executed_by(house: House, order: CourtOrder) -> str | None:
    [tx] = [row["tx"] for row in rows_of(house, "R-16") if row["order"] == str(order.id)]
    return None if tx is None else str(tx)


def asset_of(desk: Desk, chain: ledger.Ledger) -> Asset:
    return desk.session.get_one(Asset, chain.tokenization.asset_id)


def test_r16__order_on_an_asset__names_its_own_pause_and_none_of_later(house: House) -> None:
    with house.desk() as desk:
        chain = ledger.live(desk, 10)
        order = court.apply(desk, court.on_asset(desk, asset_of(desk, chain)))
        own = tokenizations.last_pause(desk.session, chain.tokenization.id)
        assert own is not None
        chain.pause()
    assert executed_by(house, order) is None, "nothing is mined"
    with house.desk() as desk:
        chain = ledger.resumed(chain, desk)
        its = carried_out(desk, desk.session.get_one(Operation, own.id))
        reconciliation.confirm_order(desk.session, order.id)
        unpause(desk, chain)
        assert pause(desk, chain) != its

    assert executed_by(house, order) == its


def test_r16__order_that_found_no_live_token__names_no_pause(house: House) -> None:
    with house.desk() as desk:
        chain = ledger.live(desk, 10)
        chain.tokenization.state = TokenizationState.DEPLOYED
        order = court.apply(desk, court.on_asset(desk, asset_of(desk, chain)))
        chain.tokenization.state = TokenizationState.LIVE
        desk.session.flush()
        assert pause(desk, chain)

    assert executed_by(house, order) is None


def test_r16__order_that_found_the_token_paused__names_the_pause_of_before(house: House) -> None:
    with house.desk() as desk:
        chain = ledger.live(desk, 10)
        pause(desk, chain)
        unpause(desk, chain)
        last = pause(desk, chain)
        order = court.in_force(desk, court.on_asset(desk, asset_of(desk, chain)))
    with house.desk() as desk:
        chain = ledger.resumed(chain, desk)
        unpause(desk, chain)
        assert pause(desk, chain)

    assert executed_by(house, order) == last


#


def test_r15__a_match__says_who_decided_what_is_frozen_and_when_it_was_reported(
    house: House, ours: Moves
) -> None:
    with house.desk() as desk:
        listed = make.person(
            desk, kind=PartyKind.NATURAL, name="Mohd Usman Barlasi", dob=date(1971, 3, 4),
            nationality="PK",
        )  # fmt: skip
        edition = lists.import_list(desk.session, COMPLIANCE, file_of())
        [hit] = screen_party(desk.session, desk.vault, listed.id)
        # Whoever bears the name holds through the second buyer's wallet.
        desk.session.connection().exec_driver_sql(
            "UPDATE investor SET party_id = %s WHERE id = %s",
            (listed.id, ours.buyers[1].investor.id),
        )
        price = desk.session.get_one(Tokenization, ours.token_id).price_paisa
    wallet = ours.buyers[1].wallet.address
    ours.mine(minted(wallet, 30))
    ours.mine({"kind": EventKind.TOKENS_FROZEN, "target": wallet, "units": 4})

    def told() -> Any:
        rows = rows_of(house, "R-15", list_version=str(edition.id))
        [row] = [row for row in rows if row["party"] == str(listed.id)]
        return row

    row = told()
    assert (row["hit"], row["reference"], row["decision"]) == (str(hit.id), "XXi.001", "OPEN")
    assert row["score"] == _score_by_journal(house, str(hit.id))
    assert row["name"] == "M*** U*** B***"
    assert _paisa(row["frozen_value"]) == 4 * price
    ours.mine({"kind": EventKind.ADDRESS_FROZEN, "target": wallet, "extra": {"frozen": True}})
    assert _paisa(told()["frozen_value"]) == 30 * price

    with house.desk() as desk:
        found = desk.session.get_one(SanctionsHit, hit.id)
        assert found.party_id == listed.id
        case = intakes.str_case(desk, listed.id)
        suspicion.file_str(desk.session, SECOND_OFFICER, case.id, reference="STR-15")
    filed = Replayed.of(house).one("str_case", id=case.id)
    assert instant(told()["reported_at"]) == instant(filed["decided_at"]) is not None
    nobody = "00000000-0000-7000-8000-000000000000"
    assert rows_of(house, "R-15", list_version=nobody) == []

    page = read(house, "R-15", role=Role.AUDITOR, list_version=str(edition.id))
    assert [row["reported_at"] for row in page["items"] if row["hit"] == str(hit.id)] == [None]
    with house.desk() as desk:
        newer = lists.import_list(
            desk.session, COMPLIANCE, file_of(generated="2026-07-01T00:00:00Z")
        )
    [again] = [row for row in rows_of(house, "R-15", list_version=str(newer.id))
               if row["hit"] == str(hit.id)]  # fmt: skip
    assert again["list_version"] == str(newer.id), "the new edition says the same of them"


def test_r15__reopened__tells_of_each_moment_what_was_decided_then(house: House) -> None:
    with house.desk() as desk:
        listed = make.person(
            desk, kind=PartyKind.NATURAL, name="Abdul Rehman Qandeelvi", dob=date(1965, 3, 4),
            nationality="PK",
        )  # fmt: skip
        lists.import_list(desk.session, COMPLIANCE, file_of(generated="2026-08-01T00:00:00Z"))
        [hit] = screen_party(desk.session, desk.vault, listed.id)
    found = now()
    with house.desk() as desk:
        _decide(desk, hit.id, Verdict.TRUE_MATCH)
    matched = now()
    with house.desk() as desk:
        hits.reopen_hit(desk.session, FIRST_OFFICER, hit.id, reason="Taken off the list.")
    reopened = now()
    with house.desk() as desk:
        _decide(desk, hit.id, Verdict.FALSE_POSITIVE)

    def told(moment: datetime) -> tuple[str, str | None]:
        rows = rows_of(house, "R-15", as_of=moment.isoformat())
        [row] = [row for row in rows if row["hit"] == str(hit.id)]
        decided = row["decision"], row["decided_by"], instant(row["decided_at"])
        assert decided == _decision_by_journal(house, str(hit.id), moment)
        return row["decision"], row["decided_by"]

    assert told(found) == ("OPEN", None)
    assert told(matched) == ("TRUE_MATCH", SECOND_OFFICER.subject)
    assert told(reopened) == ("OPEN", None)
    assert told(now()) == ("FALSE_POSITIVE", SECOND_OFFICER.subject)


def _decision_by_journal(
    house: House, hit_id: str, until: datetime
) -> tuple[str, str | None, datetime | None]:
    """Compute the decision on a hit a second time, from the last act upon it."""
    acts = [
        (instant(entry["acted_at"]), entry["act"], entry["actor"], entry["facts"])
        for entry in journal_of(house.database)
        if entry["kind"] == "act" and entry["subject_id"] == hit_id
    ]
    is_open: tuple[str, str | None, datetime | None] = ("OPEN", None, None)
    decided = is_open
    for at, act, actor, facts in acts:
        if at is None or at > until:
            continue
        if act == "sanctions_hit_reopened":
            decided = is_open
        elif act == "sanctions_hit_confirmed":
            decided = facts["state"], actor, at
    return decided


def _decide(desk: Desk, hit_id: UUID, verdict: Verdict) -> None:
    hits.recommend_hit(desk.session, FIRST_OFFICER, hit_id, verdict=verdict, reason="Looked at.")
    standing.confirm_hit(desk.session, SECOND_OFFICER, hit_id, reason="Looked at again.")


def _score_by_journal(house: House, hit_id: str) -> Any:
    [entry] = [
        entry
        for entry in journal_of(house.database)
        if entry["kind"] == "act"
        and (entry["act"], entry["subject_id"]) == ("sanctions_hit_found", hit_id)
    ]
    return entry["facts"]["score"]


def _paisa(money: dict[str, str]) -> int:
    return int(money["amount"].replace(".", ""))


#


def test_r12__transfers_above_the_threshold__travel_with_both_persons(
    house: House, ours: Moves
) -> None:
    with house.desk() as desk:
        price = desk.session.get_one(Tokenization, ours.token_id).price_paisa
    one, other = (who.wallet.address for who in ours.buyers)
    stranger = wallet_no(12)
    least_rupees = 5 * price // 100
    begun = ours.mine(minted(one, 60))
    mined = [
        (moved(one, other, 6), True),
        (moved(one, other, 5), False),
        (moved(one, stranger, 9), True),
        (moved(stranger, other, 1), False),
    ]
    blocks = [(ours.mine(event), event, wanted) for event, wanted in mined]

    rows = rows_of(house, "R-12", token=ours.token_id, min_rupees=least_rupees, limit=1)
    told = [
        (int(row["units"]), _paisa(row["amount"]), row["originator_account"],
         row["beneficiary_account"])
        for row in rows
    ]  # fmt: skip
    assert told == [
        (event["units"], event["units"] * price, account(ours, event["source"]),
         account(ours, event["target"]))
        for _, event, wanted in blocks if wanted
    ]  # fmt: skip
    assert [row["status"] for row in rows] == ["COMPLETE", "INCOMPLETE"]
    assert (rows[1]["beneficiary_name"], rows[1]["beneficiary_vasp"]) == (None, None)
    assert rows[0]["originator_name"] == "***", "hidden unless revealed"
    assert rows_of(house, "R-12", token=ours.token_id, min_rupees=0, as_of=f"block:{begun}") == []


def test_r12__revealed__names_the_persons_of_the_party_register(house: House, ours: Moves) -> None:
    rows = rows_of(house, "R-12", token=ours.token_id, min_rupees=0, reveal="true")
    row = rows[0]
    who = person(house, ours.buyers[0].investor.party_id)

    assert row["originator_name"] == who["name"]
    assert row["originator_national_identification"] == who["cnic"]
    assert row["originator_person"] == "naturalPerson"
    problem_of(ask(house, "R-12", Role.AUDITOR, reveal="true"), 403, "reveal_not_allowed")


def account(chain: Moves, address: bytes) -> str:
    return f"eip155:{chain.chain_id}:{to_checksum_address(address)}"


#


def test_r23__of_a_redemption__adds_up_to_what_the_journal_says_was_paid(house: House) -> None:
    with house.desk() as desk:
        made = redemptions.being_paid(desk, costs_paisa=1_234_567)
        first, second, _ = list_payouts(desk.session, made.redemption.id)
        paying.record_payout(desk.session, TREASURY, first.id, rail_reference="R23-1")
        paying.hold_payout(desk.session, TREASURY, second.id, reason="No account.")
        token_id = made.ledger.tokenization.id
    [row] = rows_of(house, "R-23", token=token_id)
    held_at = now()

    by_act = {
        act: sum(
            int(entry["facts"]["amount_paisa"])
            for entry in journal_of(house.database)
            if entry["kind"] == "act" and entry["act"] == act
            and entry["subject_id"] == str(made.redemption.id)
        )
        for act in ("redemption_payout_paid", "redemption_payout_held")
    }  # fmt: skip
    gross = Replayed.of(house).one("redemption", id=made.redemption.id)["price_paisa"]
    [asked] = [
        entry["facts"]
        for entry in journal_of(house.database)
        if entry["kind"] == "act" and entry["act"] == "redemption_requested"
        and entry["subject_id"] == str(made.redemption.id)
    ]  # fmt: skip
    costs = int(asked["costs_paisa"])
    assert _paisa(row["costs"]) == costs == 1_234_567
    assert _paisa(row["net"]) == gross - costs
    assert _paisa(row["paid"]) == by_act["redemption_payout_paid"] > 0
    assert _paisa(row["held"]) == by_act["redemption_payout_held"] > 0
    assert _paisa(row["gross"]) == gross == redemptions.PRICE_PAISA
    parts = sum(_paisa(row[name]) for name in ("paid", "held", "unclaimed"))
    assert parts == _paisa(row["net"])
    assert (row["holders"], row["units"]) == (3, str(sum(redemptions.UNITS)))
    problem_of(ask(house, "R-23"), 422, "request_invalid")

    # What was held may be released and paid later; it was held until then.
    with house.desk() as desk:
        paying.release_payout(desk.session, COMPLIANCE, second.id, reason="An account is named.")
    then = rows_of(house, "R-23", token=token_id, known_at=held_at.isoformat())
    assert [(each["held"], each["unclaimed"]) for each in then] == [(row["held"], row["unclaimed"])]
    released_at = now()
    [free] = rows_of(house, "R-23", token=token_id)
    assert _paisa(free["held"]) == 0
    assert _paisa(free["unclaimed"]) == _paisa(row["held"]) + _paisa(row["unclaimed"])
    with house.desk() as desk:
        paying.record_payout(desk.session, TREASURY, second.id, rail_reference="R23-H")
    then = rows_of(house, "R-23", token=token_id, known_at=held_at.isoformat())
    assert [(each["paid"], each["held"]) for each in then] == [(row["paid"], row["held"])]
    [today] = rows_of(house, "R-23", token=token_id)
    assert _paisa(today["paid"]) == _paisa(row["paid"]) + _paisa(row["held"])
    assert _paisa(today["held"]) == 0
    then = rows_of(house, "R-23", token=token_id, known_at=released_at.isoformat())
    assert [each["unclaimed"] for each in then] == [free["unclaimed"]]


def test_r23__known_at__is_what_had_been_funded_held_and_paid_by_then(house: House) -> None:
    """Of one who is held as soon as paying begins, one who is paid later and one who waits."""
    costs = 1_234_567
    with house.desk() as desk:
        made = redemptions.approved(desk, costs_paisa=costs)
        made.ledger.freeze_units(made.ledger.holders[2].wallet.address, 1)
        redemptions.freeze(desk, made)
        token_id = made.ledger.tokenization.id
    frozen_at = now()
    with house.desk() as desk:
        redemptions.fund(desk, made.redemption)
    funded_at = now()
    with house.desk() as desk:
        paying.start_paying(desk.session, TREASURY, made.redemption.id)
    paying_at = now()
    with house.desk() as desk:
        payouts = list_payouts(desk.session, made.redemption.id)
        [held] = [payout for payout in payouts if payout.frozen_units]
        first, second = (payout for payout in payouts if payout is not held)
        paying.record_payout(desk.session, TREASURY, first.id, rail_reference="R23-2")
        amounts = [payout.amount_paisa for payout in (first, second, held)]

    def known(at: datetime) -> tuple[str, list[int]]:
        [row] = rows_of(house, "R-23", token=token_id, known_at=at.isoformat())
        names = ("costs", "net", "paid", "held", "unclaimed")
        return row["state"], [_paisa(row[name]) for name in names]

    one, two, three = amounts
    net = sum(amounts)
    assert min(amounts) > 0
    assert net == redemptions.PRICE_PAISA - costs
    assert known(frozen_at) == ("RECORD_DATE_FROZEN", [costs, 0, 0, 0, 0])
    assert known(funded_at) == ("FUNDED", [costs, net, 0, 0, net])
    assert known(paying_at) == ("PAYING", [costs, net, 0, three, one + two])
    assert known(now()) == ("PAYING", [costs, net, one, three, two])
