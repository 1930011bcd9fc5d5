"""An adopted token over HTTP, with a real node behind it: files, holders, stream and its name."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from sqlmodel import select

from chain.errors import RpcRefused
from chain.node.client import ChainClient, hex_of
from chain.sync import labels
from chain.sync.labels import Labels, read_label
from registry.captable.events import TokenLabel
from registry.captable.models import Token
from registry.captable.readings import TokenReading
from registry.export.runner import ExportWorker
from registry.kernel.actor import Role
from tests.api.house import House, problem_of
from tests.api.test_events import Listener
from tests.api.test_exports import KINDS, check_schema, unpacked
from tests.api.test_known_branches import written
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import ADDRESSES, Suite
from tests.chain.test_adoption import ENDLESS, adopt, estranged, read_all
from tests.chain.test_eligibility_api import house_of
from tests.factories import ACTORS

pytestmark = pytest.mark.chain

WHY = {"purpose": "inspection 11/2026", "legal_basis": "section 4"}
REVERTS = "0x60006000fd"


@pytest.fixture
def adopted(suite: Suite) -> Suite:
    stranger = estranged(suite)
    adopt(stranger)
    read_all(stranger)
    return stranger


@pytest.fixture
def house(adopted: Suite, tmp_path: Path) -> Iterator[House]:
    with house_of(adopted.world, tmp_path / "api") as house:
        yield house


def path_of(suite: Suite, what: str) -> str:
    return f"/v1/tokens/{to_checksum_address(suite.token)}/{what}"


def exported(house: House, suite: Suite, file_format: str) -> Any:
    caller = house.caller(Role.REGULATOR)
    job = caller.post(path_of(suite, "exports"), {"format": file_format})
    assert job.status_code == 202, job.text
    services = house.services
    worker = ExportWorker(services.database, services.vault, services.store, to_checksum_address)
    assert worker.turn(threading.Event())
    response = caller.get(f"/v1/exports/{job.json()['id']}/content")
    assert response.status_code == 200, response.text
    return response


def on_chain(suite: Suite) -> dict[str, tuple[int, int]]:
    holders = suite.on_chain().holders
    return {to_checksum_address(wallet): held for wallet, held in holders.items()}


def test_adopted_token__every_read__is_what_the_chain_says(adopted: Suite, house: House) -> None:
    caller = house.caller(Role.REGULATOR)
    said = on_chain(adopted)

    rows = csv.DictReader(io.StringIO(exported(house, adopted, "csv").text))
    assert {
        row["wallet"]: (int(row["balance_units"]), int(row["frozen_units"])) for row in rows
    } == said
    answer = caller.get(path_of(adopted, "holders"), **WHY)
    assert answer.status_code == 200, answer.text
    assert {
        row["wallet"]: (int(row["balance_units"]), int(row["frozen_units"]))
        for row in answer.json()["items"]
    } == said
    wallet = to_checksum_address(ADDRESSES[1])
    for what in ("transfers", "concentration", f"wallets/{wallet}", f"wallets/{wallet}/history"):
        answer = caller.get(path_of(adopted, what))
        assert answer.status_code == 200, (what, answer.text)


def test_known_at__before_the_token_was_adopted__is_refused(adopted: Suite, house: House) -> None:
    with adopted.world.database.reading() as session:
        (reading,) = session.exec(select(TokenReading)).all()
    caller = house.caller(Role.REGULATOR)

    for moment in (reading.begun_at, reading.begun_at - timedelta(milliseconds=1)):
        answer = caller.get(path_of(adopted, "cap_table"), known_at=written(moment))
        problem_of(answer, 409, "token_read_since")
    assert reading.joined_at is not None
    answer = caller.get(path_of(adopted, "cap_table"), known_at=written(reading.joined_at))
    assert answer.status_code == 200, answer.text


def test_ocf__of_an_adopted_token__is_valid_and_has_the_name_that_the_token_tells(
    adopted: Suite, house: House
) -> None:
    files = unpacked(exported(house, adopted, "ocf"))
    manifest = json.loads(files["Manifest.ocf.json"])

    for kind, model in KINDS.items():
        (entry,) = manifest[kind]
        check_schema(model, json.loads(files[entry["filepath"]]))
    (stock,) = json.loads(files["stock_classes.ocf.json"])["items"]
    assert (stock["name"], stock["default_id_prefix"]) == ("By hand", "HAND-")
    (row,) = house.caller(Role.REGULATOR).get("/v1/followed_tokens").json()["items"]
    assert (row["id"], row["symbol"], row["name"], row["decimals"]) == (None, "HAND", "By hand", 0)


def test_stream__of_an_adopted_token__tells_a_block_that_was_mined(
    adopted: Suite, house: House
) -> None:
    headers = {"Authorization": f"Bearer {house.token(ACTORS[Role.REGULATOR])}"}
    path = path_of(adopted, "events")
    with house.client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, response.read()
        stream = Listener(response)
        assert stream.next().kind == "position"
        adopted.mint(0, 5)
        adopted.index()
        event = stream.next()

    assert event.kind == "block"
    assert event.data["block"]["hash"] == hex_of(adopted.world.client.head().hash)
    wallet = to_checksum_address(ADDRESSES[0])
    held = {row["wallet"]: int(row["balance_units"]) for row in event.data["holders"]}
    assert held == {wallet: on_chain(adopted)[wallet][0]}


def tokens(suite: Suite) -> Sequence[Token]:
    with suite.world.database.reading() as session:
        found = session.exec(select(Token)).all()
        session.expunge_all()
        return found


def stored(suite: Suite) -> TokenLabel:
    (token,) = tokens(suite)
    return TokenLabel(token.symbol, token.name, token.decimals)


def test_labels__token_renamed_by_its_owner__is_told_anew_in_time(
    adopted: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Labels(adopted.world.database, adopted.world.client, is_ours=True)
    names.turn()
    assert stored(adopted) == TokenLabel("HAND", "By hand", 0)
    adopted.do("setSymbol", "  NEW\u202e\n ")
    adopted.do("setName", "x" * (labels.LONGEST + 1))

    names.turn()
    assert stored(adopted).symbol == "HAND"
    monkeypatch.setattr(labels, "EVERY_SECONDS", 0.0)
    names.turn()

    assert stored(adopted) == TokenLabel("NEW", "x" * labels.LONGEST, 0)


def test_labels__one_token_cannot_be_asked__keeps_its_name_and_the_others_are_asked(
    adopted: Suite,
) -> None:
    other = adopted.deploy("second")
    adopted.index()

    class Choosy(ChainClient):
        def call(self, to: bytes, data: bytes, **more: Any) -> bytes:
            if to == adopted.token:
                raise RpcRefused("eth_call", -32000, "out of gas: not enough for this call", None)
            return super().call(to, data, **more)

    client = Choosy(adopted.world.node.url, CHAIN_ID)
    Labels(adopted.world.database, client, is_ours=True).turn()

    assert {token.address: token.symbol for token in tokens(adopted)} == {
        adopted.token: "HAND",
        other.token: "HAND",
    }


@pytest.mark.parametrize(
    "code",
    [REVERTS, "0x00", "0x60ff60005360206000f3"],
    ids=["refuses", "says nothing", "says nonsense"],
)
def test_read_label__token_that_does_not_tell__has_none(adopted: Suite, code: str) -> None:
    adopted.world.node.rpc("anvil_setCode", hex_of(adopted.token), code)

    assert read_label(adopted.world.client, adopted.token) == TokenLabel()


def test_read_label__text_without_an_end__has_none(adopted: Suite) -> None:
    adopted.world.node.rpc("anvil_setCode", hex_of(adopted.token), ENDLESS)

    assert read_label(adopted.world.client, adopted.token) == TokenLabel(decimals=32)
