"""The journal's root on a real chain: by the clock, on demand, once, and after a reorg."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from chain.worker import run_worker
from registry.anchor.reading import AnchorState, find_covering
from registry.anchor.service import plan_due
from registry.journal import merkle
from registry.kernel.actor import Role
from registry.kernel.errors import Conflict
from registry.operation.models import OperationKind, OperationState
from tests.api.reports import rows_of
from tests.chain import anchored
from tests.chain.nodes import CHAIN_ID
from tests.chain.test_eligibility_api import house_of
from tests.chain.world import World

pytestmark = pytest.mark.chain


def test_anchor__sealed_journal__stands_on_chain_with_its_block(platform: World) -> None:
    anchored.write(platform)

    found = anchored.anchor(platform)

    assert found.state is AnchorState.ANCHORED
    assert anchored.root_on_chain(platform, found.tree_size) == found.root
    assert found.block is not None
    assert found.tx_hash is not None
    (receipt,) = platform.client.receipts([found.tx_hash])
    assert receipt is not None
    assert (receipt.block_number, receipt.block_hash) == (found.block.number, found.block.hash)
    assert found.contract == platform.place("RegistryAnchor")


def test_anchor__asked_twice__is_one_operation(platform: World) -> None:
    anchored.write(platform)
    first = anchored.plan(platform)
    anchored.write(platform)

    again = anchored.plan(platform)
    assert again.id == first.id
    platform.settle()
    later = anchored.plan(platform)
    platform.settle()
    after = anchored.plan(platform)

    assert later.tree_size > first.tree_size
    assert after.id == later.id
    kinds = [row.kind for row in platform.operations()]
    assert kinds.count(OperationKind.ANCHOR_JOURNAL) == 2


def test_anchor__nothing_sealed__is_refused(platform: World) -> None:
    with platform.database.reading() as session:
        sealed = session.connection().scalar(text("SELECT count(*) FROM journal_seal"))
    assert sealed == 0
    with pytest.raises(Conflict) as refusal:
        anchored.plan(platform)
    assert refusal.value.code == "journal_empty"


def test_anchor__reorg__is_pending_until_it_is_mined_again(platform: World) -> None:
    anchored.write(platform)
    found = anchored.anchor(platform)
    assert found.block is not None
    platform.node.roll_back(platform.client.head().number - found.block.number + 1)
    platform.node.drop_pool()
    for _ in range(4):
        platform.node.mine()
    anchored.read_chain(platform)

    (lost,) = anchored.listed(platform)
    assert (lost.state, lost.block) == (AnchorState.PENDING, None)
    with platform.database.reading() as session:
        assert find_covering(session, CHAIN_ID, 1) is None

    platform.settle(impatient=True)
    anchored.read_chain(platform)

    (again,) = anchored.listed(platform)
    assert again.state is AnchorState.ANCHORED
    assert again.block is not None
    assert again.block.hash != found.block.hash
    assert anchored.root_on_chain(platform, again.tree_size) == again.root


def test_anchor__seal_rewritten_before_it_is_sent__is_refused(platform: World) -> None:
    anchored.write(platform)
    planned = anchored.plan(platform)
    with platform.database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE journal_seal SET root = sha256('another')"))

    platform.settle()

    operation = platform.find(OperationKind.ANCHOR_JOURNAL)
    assert operation.state is OperationState.REFUSED
    assert operation.problem is not None
    assert operation.problem["code"] == "journal_head_broken"
    assert anchored.root_on_chain(platform, planned.tree_size) == bytes(32)


def test_plan_due__by_the_clock__only_when_something_new_is_sealed(platform: World) -> None:
    every = timedelta(minutes=10)
    anchored.write(platform)
    with platform.database.transaction() as session:
        assert plan_due(session, CHAIN_ID, every) is None
        first = plan_due(session, CHAIN_ID, timedelta(0))
    assert first is not None
    platform.settle()

    with platform.database.transaction() as session:
        assert plan_due(session, CHAIN_ID, timedelta(0)) is None
    anchored.write(platform)
    with platform.database.transaction() as session:
        assert plan_due(session, CHAIN_ID, every) is None
        assert plan_due(session, CHAIN_ID, timedelta(0)) is not None


def test_worker__minutes_set__anchors_by_itself(platform: World) -> None:
    anchored.write(platform)
    with platform.database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text("UPDATE journal_seal SET sealed_at = sealed_at - interval '5 minutes'")
        )
    stop = threading.Event()
    worker = threading.Thread(
        target=run_worker,
        args=(platform.database, platform.chain, stop),
        kwargs={"finality": 1, "anchor_minutes": 5},
    )
    worker.start()
    try:
        deadline = time.monotonic() + 30
        while not anchored.listed(platform) and time.monotonic() < deadline:
            time.sleep(0.1)
        (planned,) = anchored.listed(platform)
        while anchored.root_on_chain(platform, planned.tree_size) != planned.root:
            assert time.monotonic() < deadline
            platform.node.mine()
            time.sleep(0.2)
    finally:
        stop.set()
        worker.join()


def test_proof__of_an_entry__leads_to_the_root_on_chain(platform: World, tmp_path: Path) -> None:
    anchored.write(platform, 5)
    found = anchored.anchor(platform)
    anchored.write(platform, 2)
    with house_of(platform, tmp_path / "api") as house:
        auditor = house.caller(Role.AUDITOR)
        proof = auditor.get("/v1/journal/2/proof").json()
        later = auditor.get(f"/v1/journal/{found.tree_size + 1}/proof").json()
        page = auditor.get("/v1/anchors").json()
        told = {int(row["seq"]): row["anchor_tx"] for row in rows_of(house, "R-27")}

    covering = proof["anchor"]
    root = merkle.root_of_inclusion(
        bytes.fromhex(proof["leaf_hash"]),
        1,
        int(covering["tree_size"]),
        [bytes.fromhex(part) for part in covering["audit_path"]],
    )
    assert root == found.root
    assert covering["root"] == found.root.hex()
    assert covering["block"]["finality"] == "finalized"
    assert proof["tree_size"] > int(covering["tree_size"])
    assert later["anchor"] is None
    assert [row["tree_size"] for row in page["items"]] == [str(found.tree_size)]
    assert page["items"][0]["tx_hash"] == covering["tx_hash"]
    under = dict.fromkeys(range(1, found.tree_size + 1), covering["tx_hash"])
    assert told == {seq: under.get(seq) for seq in told}
    assert under.keys() <= told.keys() != under.keys()
