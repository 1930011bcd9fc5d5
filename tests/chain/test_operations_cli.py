"""`milkiyat operations` as a person uses it, on a market's database and node."""

from __future__ import annotations

from uuid import uuid4

import pytest
import typer
from typer.testing import CliRunner, Result

from api.operations_cli import operations_commands
from api.starting import clear_errors
from registry.operation.models import OperationKind, OperationState
from tests.chain.market import FIRST, Market
from tests.chain.world import CONFIRMATIONS, PLATFORM, Hand

pytestmark = pytest.mark.chain


def run(market: Market, *words: object) -> Result:
    world = market.world

    def use_database(work: object) -> None:
        with clear_errors():
            assert callable(work)
            work(world.database)

    def use_chain(work: object) -> None:
        with clear_errors():
            assert callable(work)
            work(world.database, world.chain, CONFIRMATIONS)

    app: typer.Typer = operations_commands(use_database, use_chain)
    return CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "300"})


def test_list__filters__by_state_kind_and_age(market: Market) -> None:
    planned = run(market, "list", "--state", "planned", "--kind", "mint")
    assert planned.exit_code == 0
    assert planned.output.count(" mint ") == 3
    assert "register_identity" not in planned.output
    assert " mint " not in run(market, "list", "--kind", "mint", "--older-than", 60).output
    assert run(market, "list", "--state", "nonsense").exit_code == 2


def test_explain__tells_what_it_requires_its_attempts_and_what_is_next(market: Market) -> None:
    mint = market.find(OperationKind.MINT, FIRST)
    registration = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    said = run(market, "explain", mint.id).output
    assert f"requires  {registration.id}: register_identity, planned" in said
    market.world.turn()
    said = run(market, "explain", registration.id).output
    assert "attempt   1: 0x" in said
    assert "in no block" in said
    assert run(market, "explain", uuid4()).exit_code == 1


def test_cancel_and_retry__from_the_command_line(market: Market) -> None:
    registration = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    assert run(market, "cancel", registration.id).exit_code == 2, "no reason"
    assert run(market, "cancel", registration.id, "--reason", " ").exit_code == 2
    done = run(market, "cancel", registration.id, "--reason", "by mistake", "--by", "amna")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "refused; nothing was sent")
    assert "retry" in run(market, "explain", registration.id).output

    again = run(market, "retry", registration.id)
    assert again.exit_code == 0
    assert again.output.splitlines()[-1].startswith("planned as ")
    assert run(market, "retry", registration.id).exit_code == 1


def test_cancel__what_was_sent__says_what_takes_its_nonce(market: Market) -> None:
    market.world.turn()
    registration = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    done = run(market, "cancel", registration.id, "--reason", "stuck")
    assert done.exit_code == 0
    assert "takes its nonce" in done.output
    market.world.settle()
    assert market.find(OperationKind.REGISTER_IDENTITY, FIRST).state == OperationState.REPLACED


def test_rebuild__help__says_what_it_sends(market: Market) -> None:
    told = " ".join(run(market, "rebuild", "--help").output.replace("│", " ").split())
    assert "Sends nothing but an empty call" in told


def test_rebuild__foreign_transaction__exits_1_until_a_person_accepts_it(market: Market) -> None:
    assert run(market, "rebuild").exit_code == 0
    market.world.node.mined(Hand(market.world.node, PLATFORM).send(b"\x42" * 20, b"\x01"))
    told = run(market, "rebuild")
    assert told.exit_code == 1
    assert "it names no operation" in told.output
    assert "--accept-foreign" in told.output
    assert run(market, "rebuild", "--accept-foreign").exit_code == 0
    assert run(market, "rebuild").output.splitlines()[-1].startswith("0 transactions")
