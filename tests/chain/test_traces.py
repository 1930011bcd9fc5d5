"""One trace from the request to the last receipt, in whatever process each step is taken."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.tracing import start_tracing
from api.version import VERSION
from chain.signing.policies import FeePolicy
from registry.kernel import tracing
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.kernel.settings import Settings
from registry.operation import service as operations
from registry.operation.models import OperationKind, OperationState
from tests import factories, kyc
from tests.api.house import House, house_settings, open_house
from tests.chain.collector import Collector, Kept, Seen, collecting, kept_spans
from tests.chain.market import FIRST, Market
from tests.chain.test_fees import STUCK, cheap_again, mine_dear
from tests.chain.test_reverted import two_unpauses
from tests.chain.test_several_workers import keys, mined_until_done, workers
from tests.chain.test_worker import eventually
from tests.chain.world import World, address_of, key_of
from tests.logs import captured_log

pytestmark = pytest.mark.chain

__all__ = ["keys"]

CALLER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER_SPAN = "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{CALLER_TRACE}-{CALLER_SPAN}-01"}
STEPS = ["prepare", "sign", "broadcast", "mined", "final"]


@pytest.fixture
def spans() -> Iterator[Kept]:
    with kept_spans() as kept:
        yield kept


@pytest.fixture
def house(platform: World, tmp_path: Path) -> Iterator[House]:
    settings = house_settings(tmp_path / "api", rpc_url=platform.node.url)
    with open_house(settings, platform.database) as house:
        yield house


def approve_kyc(house: House, **headers: str) -> str:
    """Ask the API for an identity and a claim; return the id of the claim's operation."""
    with house.desk() as desk:
        who, investor = factories.enrolled(desk)
        factories.proven_wallet(desk, who, investor.id, address=address_of(key_of(FIRST)))
        investor_id = investor.id
        seen = kyc.recommended(desk, who, investor).review_sha256 or b""
    body = {
        "decision": "APPROVED",
        "valid_until": (now() + timedelta(days=300)).isoformat(),
        "evidence_sha256": seen.hex(),
    }
    answer = house.caller(Role.COMPLIANCE).post(
        f"/v1/investors/{investor_id}/kyc", body, headers=headers
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def transaction_of(world: World, operation_id: str) -> str:
    [operation] = [each for each in world.operations() if str(each.id) == operation_id]
    with world.database.reading() as session:
        return "0x" + operations.list_attempts(session, operation)[-1].tx_hash.hex()


def test_trace__a_request_until_final__is_one_and_the_callers(
    house: House, platform: World, spans: Kept
) -> None:
    operation_id = approve_kyc(house, **HEADERS)
    platform.settle()

    found = spans.of(operation_id)
    assert [each.name for each in found] == [f"operation.{step}" for step in ["plan", *STEPS]]
    assert {each.trace_id for each in found} == {CALLER_TRACE}
    [asked] = [each for each in spans.all() if each.name.startswith("POST ")]
    assert asked.name == "POST /v1/investors/{investor_id}/kyc"
    assert (asked.trace_id, asked.parent_id) == (CALLER_TRACE, CALLER_SPAN)
    assert asked.attributes["http.response.status_code"] == 202
    plan, *steps = found
    assert plan.parent_id == asked.span_id
    assert {each.parent_id for each in steps} == {plan.span_id}
    tx = transaction_of(platform, operation_id)
    told = {each.name: each.attributes.get("milkiyat.tx") for each in steps}
    assert told.pop("operation.prepare") is None, "nothing is signed yet"
    assert set(told.values()) == {tx}
    assert {each.attributes["milkiyat.operation.kind"] for each in found} == {"add_claim"}


def test_trace__request_without_one__begins_its_own(
    house: House, platform: World, spans: Kept
) -> None:
    operation_id = approve_kyc(house, traceparent="not one")
    platform.settle()
    found = spans.of(operation_id)
    assert len(found) == 1 + len(STEPS)
    [trace_id] = {each.trace_id for each in found}
    assert trace_id != CALLER_TRACE


def test_trace__off__nothing_is_kept_of_it(house: House, platform: World) -> None:
    assert not tracing.is_on()
    approve_kyc(house, **HEADERS)
    assert {each.traceparent for each in platform.operations()} == {None}


def test_settings__no_collector__load_nothing(tmp_path: Path) -> None:
    address = "http://127.0.0.1:9"
    for changes in (
        {},
        {"otel_exporter_otlp_endpoint": address, "otel_sdk_disabled": True},
        {"otel_exporter_otlp_endpoint": address, "otel_traces_exporter": "none"},
    ):
        start_tracing(house_settings(tmp_path, **changes), VERSION)
        assert not tracing.is_on()
    assert Settings(otel_exporter_otlp_traces_endpoint=address).is_traced


def test_trace__worker_killed_after_the_send__another_process_goes_on_with_it(
    house: House, platform: World, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        with kept_spans() as here:
            operation_id = approve_kyc(house, **HEADERS)
        # The claim waits for the identity; that one is what the first worker sends.
        identity = platform.find(OperationKind.CREATE_IDENTITY)
        assert here.of(identity.id)[0].trace_id == CALLER_TRACE
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        with workers(platform, keys, 1) as (doomed,):
            eventually(lambda: sends(collector, identity.id, doomed.pid))
            doomed.kill()
            doomed.wait(30)
        assert platform.count(OperationState.BROADCAST) == 1
        with workers(platform, keys, 1) as (heir,):
            # What the first has sent the second sends again, the same transaction.
            eventually(lambda: sends(collector, identity.id, heir.pid))
            mined_until_done(platform)
            eventually(lambda: named(collector, operation_id, "operation.final"))
        for each in (identity.id, operation_id):
            steps = collector.of(each)
            assert {step.trace_id for step in steps} == {CALLER_TRACE}
            assert {f"operation.{name}" for name in STEPS} <= {step.name for step in steps}
        [final] = named(collector, identity.id, "operation.final")
        assert final.pid == heir.pid
        told = [each.attributes.get("milkiyat.tx") for each in collector.of(identity.id)]
        assert set(filter(None, told)) == {final.attributes["milkiyat.tx"]}


def named(collector: Collector, operation_id: object, name: str) -> list[Seen]:
    return [each for each in collector.of(operation_id) if each.name == name]


def sends(collector: Collector, operation_id: object, pid: int) -> list[Seen]:
    return [e for e in named(collector, operation_id, "operation.broadcast") if e.pid == pid]


def traced(market: Market, name: str) -> Any:
    wallet = str(market.wallet(FIRST).id)
    return market.plan(
        OperationKind.CREATE_IDENTITY, name, wallet_id=wallet, wallet="0x" + secrets.token_hex(20)
    )


def test_trace__stuck_and_raised__shows_it_as_events(market: Market, spans: Kept) -> None:
    world = replace(
        market.world, chain=replace(market.world.chain, fees=FeePolicy(stuck_blocks=STUCK))
    )
    market.world.settle()
    stuck = traced(market, "stuck")
    world.turn()
    world.node.drop_pool()
    world.turn(at_start=True)
    mine_dear(world, 1)
    world.node.drop_pool()
    mine_dear(world, STUCK)
    world.turn()
    cheap_again(world)
    world.settle()
    assert world.find(OperationKind.CREATE_IDENTITY).state == OperationState.FINAL
    events = spans.events(stuck.id)
    assert "rebroadcast" in events
    # Once where it was made, once in the story that the receipt ends.
    assert events.count("fee_bumped") == 2


def test_trace__final_and_its_block_lost__shows_both_ends(market: Market, spans: Kept) -> None:
    world = market.world
    world.settle()
    before = world.client.head().number
    operation = traced(market, "lost")
    world.settle()
    tx = transaction_of(world, str(operation.id))

    world.node.roll_back(world.client.head().number - before)
    world.settle(impatient=True)

    lost, *again = spans.of(operation.id)[1 + len(STEPS) :]
    assert lost.name == "operation.unmined"
    assert lost.attributes["milkiyat.tx"] == tx
    assert lost.attributes["milkiyat.was"] == "final"
    assert [each.name for each in again] == [f"operation.{step}" for step in STEPS[2:]]


def test_trace__reverted_and_its_block_lost__ends_as_dropped(minted: Market, spans: Kept) -> None:
    world = minted.world
    before = world.client.head().number
    _, second = two_unpauses(minted, one_block=True)
    world.settle()
    world.node.roll_back(world.client.head().number - before)
    world.settle(impatient=True)

    _, *story = [each.name for each in spans.of(second.id)]
    assert story == [
        *("operation.prepare", "operation.sign", "operation.broadcast", "operation.reverted"),
        *("operation.unmined", "operation.broadcast", "operation.dropped"),
    ]
    assert spans.failures(second.id) == [
        ("operation.reverted", "Pausable: not paused"),
        ("operation.dropped", "call_would_revert"),
    ]


def test_trace__rows_of_a_batch__each_keeps_its_own(market: Market, spans: Kept) -> None:
    market.world.settle()
    world = replace(market.world, batch_rows=10)
    rows = [traced(market, f"row {number}") for number in range(3)]
    world.settle()
    batch = world.find(OperationKind.BATCH)
    traces = set()
    for row in rows:
        found = spans.of(row.id)
        assert [each.name for each in found][-2:] == ["operation.mined", "operation.final"]
        assert {each.attributes["milkiyat.operation.batch_id"] for each in found[-2:]} == {
            str(batch.id)
        }
        traces |= {each.trace_id for each in found}
    assert len(traces) == len(rows)


def test_trace__planned_before_anything_was_traced__is_carried_out_all_the_same(
    market: Market, spans: Kept
) -> None:
    planned = market.world.count(OperationState.PLANNED)
    assert planned
    assert {row.traceparent for row in market.world.operations()} == {None}
    market.world.settle()

    assert not market.world.count(OperationState.PLANNED)
    assert {row.state for row in market.world.operations()} == {OperationState.FINAL}
    assert not spans.of(market.world.operations()[-1].id)


def test_trace__refused__ends_with_its_code(market: Market, spans: Kept) -> None:
    market.world.settle()
    again = market.plan(
        OperationKind.MINT, "too late", wallet_id=str(market.wallet(FIRST).id), units="1"
    )
    market.let_kyc_run_out(FIRST)
    market.world.turn()
    [operation] = [each for each in market.world.operations() if each.id == again.id]
    assert operation.state == OperationState.REFUSED
    assert operation.problem is not None
    assert spans.failures(again.id)[-1] == ("operation.refused", operation.problem["code"])


def test_log__of_a_traced_operation__names_operation_transaction_and_trace(
    house: House, platform: World
) -> None:
    with kept_spans(), captured_log() as text:
        operation_id = approve_kyc(house, **HEADERS)
        platform.settle()
    lines = [json.loads(line) for line in text.getvalue().splitlines()]
    told = [line for line in lines if line["event"].startswith("operation_")]
    assert {"operation_broadcast", "operation_mined", "operation_final"} <= {
        line["event"] for line in told
    }
    for line in told:
        assert line["operation"], line
        assert line["tx"].startswith("0x"), line
    tx = transaction_of(platform, operation_id)
    sent = [line for line in told if line["event"] == "operation_broadcast" and line["tx"] == tx]
    assert [line["trace_id"] for line in sent] == [CALLER_TRACE]
