"""A token without a tokenization: its holders, its files and its stream, as those of our own."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pyocf.captable import Captable
from pyocf.files.ocfmanifestfile import OCFManifestFile
from sqlalchemy import text
from typer.testing import CliRunner

from api.captable_cli import captable_commands
from api.schemas.common import address_of
from registry.captable.events import TokenLabel
from registry.captable.portfolio import note_label
from registry.captable.rewind import rewind
from registry.captable.service import find_token
from registry.kernel.actor import Role
from tests.api.house import House, problem_of
from tests.api.moves import Moves, minted, moved, wallet_no
from tests.api.other_chain import IDENTITY, ONE, OTHER, TWO, UNREAD, block, mine
from tests.api.test_events import Listener
from tests.api.test_exports import KINDS, check_schema, read, take, unpacked, work
from tests.factories import ACTORS

pytestmark = pytest.mark.db

WHY = {"purpose": "inspection 11/2026", "legal_basis": "section 4"}
LABEL = TokenLabel("ACME", "Acme Estates", 6)
THERE = {address_of(ONE): 20, address_of(TWO): 10}


def name_it(house: House, ours: Moves, label: TokenLabel) -> None:
    with house.database.transaction() as session:
        token = find_token(session, ours.token, chain_id=OTHER)
        assert token is not None
        assert token.token_no is not None
        note_label(session, token.token_no, label)


def opened(house: House, token: object, file_format: str, **query: Any) -> Any:
    caller = house.caller(Role.REGULATOR)
    path = f"/v1/tokens/{token}/exports"
    named = "&".join(f"{name}={value}" for name, value in query.items())
    response = caller.post(f"{path}?{named}", {"format": file_format, "as_of": "block:3"})
    assert response.status_code == 202, response.text
    return response.json()


def exported(house: House, token: object, file_format: str, **query: Any) -> Any:
    job = opened(house, token, file_format, **query)
    work(house)
    response = take(house, job)
    assert response.status_code == 200, response.text
    return response


def rows_of(content: str) -> dict[str, int]:
    return {
        row["wallet"]: int(row["balance_units"]) for row in csv.DictReader(io.StringIO(content))
    }


def test_holders__of_an_adopted_token__are_told_and_journalled_by_its_address(
    house: House, ours: Moves, there: str
) -> None:
    caller = house.caller(Role.REGULATOR)
    path = f"/v1/tokens/{there}/holders"
    answer = caller.get(path, chain_id=OTHER, **WHY)

    assert answer.status_code == 200, answer.text
    found = {row["wallet"]: row for row in answer.json()["items"]}
    assert {wallet: int(row["balance_units"]) for wallet, row in found.items()} == THERE
    one = found[address_of(ONE)]
    assert (one["identity"], one["country"]) == (address_of(IDENTITY), 528)
    assert one["account"] == f"eip155:{OTHER}:{address_of(ONE)}"
    entry = house.one(
        "SELECT subject_kind || ' ' || subject_id || ' ' || (facts->>'chain_id') FROM journal_entry"
        " WHERE act = 'personal_data_read' ORDER BY id DESC LIMIT 1"
    )
    assert entry == f"token {there.lower()} {OTHER}"
    early = caller.get(path, chain_id=OTHER, as_of="block:2", **WHY).json()
    assert [row["wallet"] for row in early["items"]] == [address_of(ONE)]


def test_holders__of_our_own_token_by_its_address__are_journalled_under_its_tokenization(
    house: House, ours: Moves, there: str
) -> None:
    answer = house.caller(Role.REGULATOR).get(f"/v1/tokens/{there}/holders", **WHY)

    assert [row["balance_units"] for row in answer.json()["items"]] == ["7"]
    entry = house.one(
        "SELECT subject_kind || ' ' || subject_id FROM journal_entry"
        " WHERE act = 'personal_data_read' ORDER BY id DESC LIMIT 1"
    )
    assert entry == f"tokenization {ours.token_id}"


@pytest.mark.parametrize("what", ["holders", "exports", "events"])
def test_adopted_token__asked_for_wrongly__is_refused_as_everywhere(
    house: House, there: str, what: str
) -> None:
    asked = WHY if what == "holders" else {}
    regulator = house.caller(Role.REGULATOR)
    path = f"/v1/tokens/{there}/{what}"
    problem_of(regulator.get(path, chain_id=UNREAD, **asked), 422, "chain_not_followed")
    stranger = f"/v1/tokens/{address_of(wallet_no(99))}/{what}"
    problem_of(regulator.get(stranger, chain_id=OTHER, **asked), 404, "not_found")
    nonsense = f"/v1/tokens/{there.lower()}/{what}"
    problem_of(regulator.get(nonsense, chain_id=OTHER, **asked), 422, "request_invalid")
    investor = house.caller(Role.INVESTOR).get(path, chain_id=OTHER, **asked)
    problem_of(investor, 403, "role_missing")


def test_csv__of_an_adopted_token__is_its_cap_table_on_that_chain(
    house: House, ours: Moves, there: str
) -> None:
    job = opened(house, there, "csv", chain_id=OTHER)
    assert (job["token_id"], job["chain"], job["address"]) == (None, f"eip155:{OTHER}", there)
    assert job["as_of_block"]["hash"] == f"0x{block(3).hash.hex()}"
    work(house)
    response = take(house, job)

    assert rows_of(response.text) == THERE
    assert response.headers["Milkiyat-Block-Hash"] == f"0x{block(3).hash.hex()}"
    assert read(house, job)["sha256"] == hashlib.sha256(response.content).hexdigest()
    caller = house.caller(Role.AUDITOR)
    listed = caller.get(f"/v1/tokens/{there}/exports", chain_id=OTHER, limit=200).json()["items"]
    assert job["id"] in {item["id"] for item in listed}
    here = caller.get(f"/v1/tokens/{there}/exports", limit=200).json()["items"]
    assert job["id"] not in {item["id"] for item in here}


def test_export__of_our_own_token_by_its_address__is_that_of_its_tokenization(
    house: House, ours: Moves, there: str
) -> None:
    caller = house.caller(Role.REGULATOR)
    job = caller.post(f"/v1/tokens/{there}/exports", {"format": "ocf"}).json()
    work(house)
    manifest = json.loads(unpacked(take(house, job))["Manifest.ocf.json"])

    assert job["token_id"] == str(ours.token_id)
    assert not manifest["issuer"]["legal_name"].startswith("issuer of")
    listed = caller.get(f"/v1/tokens/{ours.token_id}/exports", limit=200).json()["items"]
    assert job["id"] in {item["id"] for item in listed}


def test_export__of_another_chain_under_the_same_key__is_refused(
    house: House, ours: Moves, there: str
) -> None:
    caller, path = house.caller(Role.REGULATOR), f"/v1/tokens/{there}/exports"
    chains = (ours.chain_id, OTHER)
    here, other = (f"{path}?chain_id={chain}" for chain in chains)
    first = caller.post(here, {"format": "csv"}, key="of one chain")
    assert first.json()["chain"] == f"eip155:{ours.chain_id}"

    reused = caller.post(other, {"format": "csv"}, key="of one chain")

    problem_of(reused, 422, "idempotency_key_reused")
    again = caller.post(here, {"format": "csv"}, key="of one chain")
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")


@pytest.mark.parametrize("label", [TokenLabel(), LABEL], ids=["unnamed", "named"])
def test_ocf__of_an_adopted_token__is_valid_and_says_what_is_not_known(
    house: House, ours: Moves, there: str, label: TokenLabel
) -> None:
    name_it(house, ours, label)
    response = exported(house, there, "ocf", chain_id=OTHER)
    files = unpacked(response)
    manifest = json.loads(files["Manifest.ocf.json"])

    check_schema(OCFManifestFile, manifest)
    for kind, model in KINDS.items():
        (entry,) = manifest[kind]
        content = files[entry["filepath"]]
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == entry["md5"]
        check_schema(model, json.loads(content))
    (stock,) = json.loads(files["stock_classes.ocf.json"])["items"]
    assert stock["name"] == (label.name or there)
    assert stock["default_id_prefix"] == f"{label.symbol or there}-"
    assert stock["initial_shares_authorized"] == "NOT APPLICABLE"
    assert "price_per_share" not in stock
    assert manifest["issuer"]["legal_name"] == f"issuer of eip155:{OTHER}:{there}"
    assert manifest["issuer"]["formation_date"] == block(2).mined_at.date().isoformat()
    said = " ".join(manifest["comments"] + manifest["issuer"]["comments"])
    assert "adopted" in said
    assert ("10^6 units" in said) == (label.decimals is not None)
    # Its symbol may be another tomorrow: the numbers of its securities are not.
    numbers = {tx["custom_id"] for tx in json.loads(files["transactions.ocf.json"])["items"]}
    assert numbers == {f"{there}-{wallet}" for wallet in THERE}
    package = Captable.load(io.BytesIO(response.content))
    names = {item.id: item.name.legal_name for item in package.stakeholders}
    held = {names[tx.stakeholder_id]: int(tx.quantity.root) for tx in package.transactions}
    assert held == THERE


def test_followed_tokens__named_by_the_token__tell_its_name(
    house: House, ours: Moves, there: str
) -> None:
    name_it(house, ours, LABEL)
    (row,) = house.caller(Role.REGULATOR).get("/v1/followed_tokens", chain_id=OTHER).json()["items"]

    assert TokenLabel(row["symbol"], row["name"], row["decimals"]) == LABEL


def test_command__address_and_chain__write_the_same_file(
    house: House, ours: Moves, there: str, tmp_path: Path
) -> None:
    app = captable_commands(lambda work_on: work_on(house.database))
    file = tmp_path / "table.csv"

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["export", *arguments])

    chain = ["--chain", str(OTHER)]
    said = run(there, str(file), "--as-of", "block:3", *chain)
    assert said.exit_code == 0, said.output
    assert file.read_bytes() == exported(house, there, "csv", chain_id=OTHER).content
    assert f"block 3 0x{block(3).hash.hex()}" in said.output
    assert run(there, str(file)).exit_code == 0
    assert rows_of(file.read_text()) == {address_of(ONE): 7}
    refused = {
        "token_unnamed": run("nonsense", str(file)),
        "not_found": run(str(UUID(int=7)), str(file)),
    }
    for code, result in refused.items():
        assert getattr(result.exception, "code", None) == code
    assert getattr(run(str(ours.token_id), str(file), *chain).exception, "code", "") == "not_found"


def test_stream__of_an_adopted_token__tells_blocks_and_reorgs_of_its_own_chain(
    house: House, ours: Moves, there: str
) -> None:
    token = house.token(ACTORS[Role.REGULATOR])
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/v1/tokens/{there}/events?chain_id={OTHER}"
    with house.client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, response.read()
        stream = Listener(response)
        first = stream.next()
        assert (first.kind, first.data["number"]) == ("position", 3)
        # What happens on our own chain at the same address is none of it.
        ours.mine(minted(ONE, 1))
        mine(house, ours.token, 4, moved(ONE, TWO, 5))
        added = stream.next()
        with house.database.transaction() as session:
            rewind(session, OTHER, block(3))
        mine(house, ours.token, 4, moved(ONE, TWO, 6), branch="second")
        taken, again = stream.take(2)

    assert [event.kind for event in (added, taken, again)] == ["block", "rolled_back", "block"]
    assert added.id == f"4-{block(4).hash.hex()}"
    assert added.data["block"]["finality"] == "latest"
    held = {row["wallet"]: row["balance_units"] for row in again.data["holders"]}
    assert held == {address_of(ONE): "14", address_of(TWO): "16"}
    with house.client.stream(
        "GET", path, headers=headers | {"Last-Event-ID": again.id}
    ) as response:
        assert Listener(response).next().id == again.id


def test_export__token_is_not_followed_any_more__is_refused_and_a_waiting_one_fails(
    house: House, ours: Moves, there: str
) -> None:
    job = opened(house, there, "csv", chain_id=OTHER)
    refuse = "UPDATE token SET refusal = :reason, refused_at = :at WHERE chain_id = :chain"
    with house.database.transaction() as session:
        values = {"reason": "it says what cannot be", "at": 1, "chain": OTHER}
        session.connection().execute(text(refuse), values)
    try:
        path = f"/v1/tokens/{there}/exports?chain_id={OTHER}"
        response = house.caller(Role.REGULATOR).post(path, {"format": "csv"})
        problem_of(response, 409, "token_refused")
        work(house)
        failed = read(house, job)
    finally:
        with house.database.transaction() as session:
            session.connection().execute(text(refuse), values | {"reason": None, "at": None})

    assert (failed["state"], failed["problem"]["code"]) == ("FAILED", "token_refused")
