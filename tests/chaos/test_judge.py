"""The judge sees what is wrong: otherwise no schedule would mean anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain.contracts.abi import contract
from chain.node.client import bytes_of, hex_of
from registry.kernel.settings import ROOT
from tests.chaos import play
from tests.chaos.judge import Judge, Verdict
from tests.chaos.planning import plan
from tests.chaos.scene import Scene, open_scene
from tests.chaos.schedule import POINTS, Asked, Request
from tests.chaos.stage import ACCOUNTS, Stage

pytestmark = pytest.mark.chain

FEWER_UNITS = """UPDATE operation SET params = params || '{"units": "119"}'
    WHERE kind = 'mint' AND params->>'units' = '120'"""

ANOTHER_HASH = """UPDATE operation_attempt SET tx_hash = sha256(tx_hash)
    WHERE operation_id = (SELECT id FROM operation WHERE key = 'chaos:title:0')"""

CALM = replace(
    plan(1),
    workers=1,
    pool=False,
    bad={},
    paid=(0, 1, 2),
    closed_before=True,
    requests=((0, Request(Asked.TITLE, 0, 1)), (1, Request(Asked.IDENTITY, 1, 1))),
    faults=(),
    failpoints=(),
)


@pytest.fixture(scope="module")
def calm(chaos_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A schedule without a fault, carried out."""
    log = tmp_path_factory.mktemp("calm") / "workers.log"
    with open_scene(chaos_stage, CALM, log) as scene:
        play.set_up(scene)
        play.suffer(scene)
        play.settle(scene)
        assert play.judge(scene).is_good
        yield scene


@pytest.fixture
def scene(calm: Scene) -> Iterator[Scene]:
    """The same, and what a test does to it is taken back."""
    kept = calm.node.rpc("evm_snapshot")
    with calm.nobody_connected():
        calm.stage.server.copy("kept", calm.name)
    yield calm
    calm.node.rpc("evm_revert", kept)
    with calm.nobody_connected():
        calm.stage.server.drop(calm.name)
        calm.stage.server.copy(calm.name, "kept")
    calm.stage.server.drop("kept")


def judged(scene: Scene) -> Verdict:
    judge = Judge(
        scene.node.url,
        scene.database.driver_url,
        scene.stage.sale,
        scene.schedule,
        floor=scene.network.floor,
    )
    return judge.judge(set())


def change(scene: Scene, statement: str) -> None:
    with scene.database.engine.begin() as connection:
        changed = connection.exec_driver_sql(statement)
        assert changed.rowcount == 1


def test_judge__minted_once_more__is_doubled(scene: Scene) -> None:
    with scene.database.engine.connect() as connection:
        agent, token = connection.exec_driver_sql(
            "SELECT c.address, suite->>'token' FROM platform_contract c, tokenization"
            " WHERE c.name = 'CaseAgent' AND suite IS NOT NULL"
        ).one()
    burn = contract("Token").functions["burn"].encode(hex_of(scene.stage.sale.buyers[0].wallet), 3)
    mint = contract("Token").functions["mint"].encode(hex_of(scene.stage.sale.buyers[1].wallet), 3)
    for data in (burn, mint):
        scene.node.act_as(bytes(agent), bytes_of(token), data)

    assert [what for what in judged(scene).doubled if "got 123 units, 120 are final" in what]


def test_judge__key_used__is_told_and_the_nonce_is_ahead(scene: Scene) -> None:
    scene.network.use_key(0, instead=False)
    scene.node.mine()

    verdict = judged(scene)
    assert [what for what in verdict.doubled if what.startswith("nobody knows of transaction")]
    assert [what for what in verdict.lost if what.startswith(ACCOUNTS[0].address)]


def test_judge__something_waits_in_the_pool__is_lost(scene: Scene) -> None:
    scene.network.use_key(0, instead=False)
    assert [what for what in judged(scene).lost if what.startswith("the pool is not empty")]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE operation SET state = 'broadcast' WHERE key = 'chaos:title:0'", "is broadcast"),
        ("UPDATE operation SET state = 'refused' WHERE key = 'chaos:title:0'", "ended as refused"),
        ("UPDATE operation SET key = 'x' WHERE key = 'chaos:identity:1'", "was never planned"),
        ("UPDATE purchase_order SET state = 'MINTING' WHERE units = 120", "its order is MINTING"),
        ("UPDATE nonce_stream SET next_nonce = 999 WHERE next_nonce > 40", "next nonce 999"),
        (FEWER_UNITS, "999 units are planned"),
        (ANOTHER_HASH, "is final, and no block holds it"),
    ],
)
def test_judge__books_say_otherwise__is_lost(scene: Scene, statement: str, told: str) -> None:
    change(scene, statement)
    assert [what for what in judged(scene).lost if told in what]


def test_points__are_exactly_those_of_the_sending_path() -> None:
    found = {
        node.args[0].value
        for path in (ROOT / "chain").rglob("*.py")
        if path.parent.name != "custody"  # it makes keys, and sends nothing
        for node in ast.walk(ast.parse(Path(path).read_text("utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "failpoints.reach"
        and isinstance(node.args[0], ast.Constant)
    }
    assert {name for name in found if not str(name).startswith("sync_")} == set(POINTS)
