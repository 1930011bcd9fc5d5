"""Exports with `known_at`: what the register believed of a branch, whatever a reorg took since."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyocf.captable import Captable
from typer.testing import CliRunner

from api.captable_cli import captable_commands
from api.schemas.common import address_of
from registry.kernel.actor import Role
from registry.kernel.clock import now
from tests.api.house import House, problem_of
from tests.api.moves import Moves, frozen, minted, moved, moves, wallet_no
from tests.api.test_exports import exported, open_export, read, take, unpacked, work
from tests.api.test_known_branches import written

pytestmark = pytest.mark.db

ONE, TWO, THREE, FOUR = (wallet_no(number) for number in range(4))
THEN = {address_of(ONE): (90, 0), address_of(TWO): (60, 7), address_of(THREE): (5, 0)}
NOW = {address_of(ONE): (40, 0), address_of(TWO): (50, 0), address_of(FOUR): (60, 0)}


@dataclass
class Lost:
    """A chain of which a reorg took the newest block, which was believed at `moment`."""

    chain: Moves
    number: int
    digest: str
    moment: str


def known_now(house: House) -> str:
    return written(house.one("SELECT clock_timestamp()"))


def lose(chain: Moves, number: int, branch: str) -> None:
    chain.take_back_to(number - 1, branch)
    chain.mine(moved(ONE, FOUR, 60))


@pytest.fixture
def lost(house: House) -> Lost:
    chain = moves(house)
    chain.mine(minted(ONE, 100), minted(TWO, 50))
    number = chain.mine(moved(ONE, TWO, 10), frozen(TWO, 7), minted(THREE, 5))
    found = Lost(chain, number, f"0x{chain.block(number).hash.hex()}", known_now(house))
    lose(chain, number, "second")
    return found


def held_in(text: str) -> dict[str, tuple[int, int]]:
    return {
        row["wallet"]: (int(row["balance_units"]), int(row["frozen_units"]))
        for row in csv.DictReader(io.StringIO(text))
    }


def test_csv__known_before_a_reorg__is_the_cap_table_of_then(lost: Lost) -> None:
    caller = lost.chain.house.caller(Role.REGULATOR)
    path = f"/v1/tokens/{lost.chain.token_id}/cap_table"

    response = exported(lost.chain, "csv", known_at=lost.moment)

    assert held_in(response.text) == THEN
    table = caller.get(path, known_at=lost.moment).json()["items"]
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [[int(row["share_numerator"]), int(row["share_denominator"])] for row in rows] == [
        list(map(int, row["share"])) for row in table
    ]
    said = {(row["block_number"], row["block_hash"]) for row in rows}
    assert said == {(str(lost.number), lost.digest)}
    assert response.headers["Milkiyat-Block-Hash"] == lost.digest
    assert response.headers["Milkiyat-Block-Finality"] == "orphaned"
    assert held_in(exported(lost.chain, "csv").text) == NOW


def test_ocf__known_before_a_reorg__is_the_cap_table_of_then(lost: Lost) -> None:
    response = exported(lost.chain, "ocf", known_at=lost.moment)

    package = Captable.load(io.BytesIO(response.content))
    names = {item.id: item.name.legal_name for item in package.stakeholders}
    held = {names[tx.stakeholder_id]: int(tx.quantity.root) for tx in package.transactions}
    assert held == {wallet: units for wallet, (units, _) in THEN.items()}
    legends = {names[tx.stakeholder_id] for tx in package.transactions if tx.stock_legend_ids}
    assert legends == {address_of(TWO)}
    comments = json.loads(unpacked(response)["Manifest.ocf.json"])["comments"]
    assert "155 units in circulation" in comments
    moment = datetime.fromisoformat(lost.moment).isoformat()
    assert f"as the register knew the chain at {moment}" in comments


def test_export__block_is_taken_back_before_it_is_written__tells_what_was_known(
    house: House,
) -> None:
    chain = moves(house)
    chain.mine(minted(ONE, 100), minted(TWO, 50))
    number = chain.mine(moved(ONE, TWO, 10), frozen(TWO, 7), minted(THREE, 5))
    moment = known_now(house)
    job = open_export(chain, "csv", known_at=moment)
    assert datetime.fromisoformat(job["known_at"]) == datetime.fromisoformat(moment)
    lose(chain, number, "third")
    work(house)

    done = read(house, job)
    assert (done["state"], done["as_of_block"]["finality"]) == ("DONE", "orphaned")
    assert held_in(take(house, job).text) == THEN


def test_export__token_was_read_again_since__is_refused(house: House) -> None:
    chain = moves(house)
    number = chain.mine(minted(ONE, 100))
    moment = known_now(house)
    before = open_export(chain, "csv", known_at=moment)
    chain.read_again(number - 1)
    chain.read_apart([minted(ONE, 99)], first=number, joins=True)

    path = f"/v1/tokens/{chain.token_id}/exports"
    caller = house.caller(Role.REGULATOR)
    problem_of(caller.post(path, {"format": "csv", "known_at": moment}), 409, "token_read_since")
    work(house)
    failed = read(house, before)
    assert (failed["state"], failed["problem"]["code"]) == ("FAILED", "token_read_since")


def test_export__of_what_nobody_knew__is_refused_as_the_cap_table_is(lost: Lost) -> None:
    caller = lost.chain.house.caller(Role.REGULATOR)
    path = f"/v1/tokens/{lost.chain.token_id}"
    beyond = f"block:{lost.number + 1}"
    asked: list[tuple[int, str, dict[str, Any]]] = [
        (422, "known_at_in_future", {"known_at": written(now() + timedelta(hours=1))}),
        (422, "request_invalid", {"known_at": "yesterday"}),
        (409, "block_not_synced", {"known_at": lost.moment, "as_of": beyond}),
        (404, "not_found", {"known_at": "2020-01-01T00:00:00Z"}),
    ]
    for status, code, when in asked:
        problem_of(caller.post(f"{path}/exports", {"format": "csv"} | when), status, code)
        problem_of(caller.get(f"{path}/cap_table", **when), status, code)


def test_command__known_at__writes_the_same_file(lost: Lost, tmp_path: Path) -> None:
    house = lost.chain.house
    app = captable_commands(lambda work_on: work_on(house.database))
    file = tmp_path / "table.csv"

    def run(known_at: str) -> Any:
        token = str(lost.chain.token_id)
        return CliRunner().invoke(app, ["export", token, str(file), "--known-at", known_at])

    said = run(lost.moment)

    assert said.exit_code == 0, said.output
    assert file.read_bytes() == exported(lost.chain, "csv", known_at=lost.moment).content
    assert f"block {lost.number} {lost.digest}" in said.output
    refused = {
        "request_invalid": run("yesterday"),
        "known_at_in_future": run(written(now() + timedelta(hours=1))),
    }
    for code, result in refused.items():
        assert getattr(result.exception, "code", None) == code
