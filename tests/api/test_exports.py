"""A cap table as a file: the same figures as the table at its block, in every format."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import threading
import zipfile
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from eth_utils.address import to_checksum_address
from pyocf.captable import Captable
from pyocf.files.ocfmanifestfile import OCFManifestFile
from pyocf.files.stakeholdersfile import StakeholdersFile
from pyocf.files.stockclassesfile import StockClassesFile
from pyocf.files.stocklegendtemplatesfile import StockLegendTemplatesFile
from pyocf.files.transactionsfile import TransactionsFile
from sqlalchemy import text
from typer.testing import CliRunner

from api.captable_cli import captable_commands
from registry.export import ocf
from registry.export.runner import ExportWorker
from registry.kernel.actor import Role
from tests.api.house import House, problem_of
from tests.api.moves import Moves, burned, frozen, minted, moved, moves, wallet_no

pytestmark = pytest.mark.db

HOLDERS = 40
"""At the last block: two wallets are empty by then, and two investors have come."""


@pytest.fixture(scope="module")
def chain(house: House) -> Moves:
    found = moves(house, buyers=2)
    known = [buyer.wallet.address for buyer in found.buyers]
    found.mine(*(minted(wallet_no(number), 10**number) for number in range(18)))
    found.mine(*(minted(wallet_no(number), 3 * number) for number in range(18, HOLDERS)))
    found.mine(frozen(wallet_no(20), 4), *(minted(wallet, 5) for wallet in known))
    found.mine(moved(wallet_no(3), wallet_no(4), 1000), burned(wallet_no(19), 57))
    return found


def open_export(chain: Moves, file_format: str, **more: Any) -> Any:
    caller = chain.house.caller(Role.REGULATOR)
    path = f"/v1/tokens/{chain.token_id}/exports"
    response = caller.post(path, {"format": file_format} | more)
    assert response.status_code == 202, response.text
    assert response.headers["Location"] == f"/v1/exports/{response.json()['id']}"
    return response.json()


def worker_of(house: House) -> ExportWorker:
    services = house.services
    return ExportWorker(services.database, services.vault, services.store, to_checksum_address)


def work(house: House) -> None:
    worker = worker_of(house)
    while worker.turn(threading.Event()):
        pass


def read(house: House, job: Any) -> Any:
    return house.caller(Role.REGULATOR).get(f"/v1/exports/{job['id']}").json()


def take(house: House, job: Any) -> httpx.Response:
    return house.caller(Role.REGULATOR).get(f"/v1/exports/{job['id']}/content")


def exported(chain: Moves, file_format: str, **more: Any) -> httpx.Response:
    job = open_export(chain, file_format, **more)
    work(chain.house)
    response = take(chain.house, job)
    assert response.status_code == 200, response.text
    return response


def table_at(chain: Moves, as_of: str) -> dict[str, tuple[int, int, Fraction]]:
    caller = chain.house.caller(Role.REGULATOR)
    found = caller.get(f"/v1/tokens/{chain.token_id}/cap_table", as_of=as_of, limit=200).json()
    assert found["next"] is None
    return {
        row["wallet"]: (
            int(row["balance_units"]),
            int(row["frozen_units"]),
            Fraction(*map(int, row["share"])),
        )
        for row in found["items"]
    }


def blocks(chain: Moves) -> range:
    return range(101, 106)


def test_csv__of_every_block__is_the_cap_table_of_that_block(chain: Moves) -> None:
    for number in blocks(chain):
        as_of = f"block:{number}"
        response = exported(chain, "csv", as_of=as_of)
        rows = list(csv.DictReader(io.StringIO(response.text)))
        found = {
            row["wallet"]: (
                int(row["balance_units"]),
                int(row["frozen_units"]),
                Fraction(int(row["share_numerator"]), int(row["share_denominator"])),
            )
            for row in rows
        }
        assert found == table_at(chain, as_of)
        assert len(rows) == len(found) == int(response.headers["Milkiyat-Rows"])
        assert [row["wallet"].lower() for row in rows] == sorted(wallet.lower() for wallet in found)
        digest = f"0x{chain.block(number).hash.hex()}"
        assert {(row["block_number"], row["block_hash"]) for row in rows} <= {(str(number), digest)}


def test_content__its_headers__name_block_hash_finality_and_digest(chain: Moves) -> None:
    job = open_export(chain, "csv")
    assert job["state"] == "WAITING"
    problem_of(take(chain.house, job), 409, "export_not_ready")
    work(chain.house)
    done, response = read(chain.house, job), take(chain.house, job)

    sha256 = hashlib.sha256(response.content)
    assert done["state"] == "DONE"
    assert done["progress"]["done"] == done["progress"]["total"] == HOLDERS
    assert (done["progress"]["percent"], done["size_bytes"]) == ("100.0", len(response.content))
    assert done["sha256"] == sha256.hexdigest()
    said = base64.b64encode(sha256.digest()).decode()
    assert response.headers["Repr-Digest"] == f"sha-256=:{said}:"
    assert response.headers["Content-Length"] == str(len(response.content))
    assert response.headers["Milkiyat-Block-Number"] == str(done["as_of_block"]["number"])
    assert response.headers["Milkiyat-Block-Hash"] == done["as_of_block"]["hash"]
    assert response.headers["Milkiyat-Block-Finality"] == done["as_of_block"]["finality"]
    assert response.headers["Content-Type"].startswith("text/csv")


def test_export__asked_twice__is_the_same_figures(chain: Moves) -> None:
    one, two = (exported(chain, "csv", as_of="block:104").content for _ in range(2))

    assert one == two


# The library's models are made from OCF's own JSON schemas, and say again what those say, except
# that the schemas close every object and write every number as a string.
_NUMERIC = {"type": "string", "pattern": r"^[+-]?[0-9]+(\.[0-9]{1,10})?$"}


def strict(schema: Any) -> Any:
    """Close every object of a schema, and let numbers be strings alone, as OCF's own schemas do."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(value) for name, value in schema.items()}
    if schema.get("title") == "Numeric":
        return _NUMERIC
    if "properties" in schema:
        made["additionalProperties"] = False
    return made


def unpacked(response: httpx.Response) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(response.content)) as package:
        assert package.testzip() is None
        return {name: package.read(name) for name in package.namelist()}


KINDS = {
    "stakeholders_files": StakeholdersFile,
    "stock_classes_files": StockClassesFile,
    "stock_legend_templates_files": StockLegendTemplatesFile,
    "transactions_files": TransactionsFile,
}


def check_schema(model: Any, value: Any) -> None:
    schema = strict(model.model_json_schema())
    jsonschema.validate(value, schema, format_checker=jsonschema.FormatChecker())


def test_ocf__every_file__is_valid_and_named_with_its_md5(chain: Moves) -> None:
    response = exported(chain, "ocf")
    files = unpacked(response)
    manifest = json.loads(files["Manifest.ocf.json"])

    check_schema(OCFManifestFile, manifest)
    named = {kind: manifest[kind] for kind in manifest if kind.endswith("_files")}
    assert {kind for kind, entries in named.items() if entries} == KINDS.keys()
    for kind, model in KINDS.items():
        (entry,) = named[kind]
        content = files[entry["filepath"]]
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == entry["md5"]
        check_schema(model, json.loads(content))
    assert len(files) == 1 + len(KINDS)
    assert f"0x{chain.block(105).hash.hex()}" in " ".join(manifest["comments"])
    # No checker of times is installed, so the schema takes any text for one.
    assert datetime.fromisoformat(manifest["generated_at"]).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "broken",
    [
        {"quantity": 5},
        {"quantity": "five"},
        {"date": "today"},
        {"stakeholder_id": None},
        {"share_price": {"amount": "1.00", "currency": "rupees"}},
        {"unknown": "field"},
    ],
    ids=str,
)
def test_ocf__the_check_itself__refuses_what_is_wrong(chain: Moves, broken: dict[str, Any]) -> None:
    transactions = json.loads(unpacked(exported(chain, "ocf"))["transactions.ocf.json"])
    transactions["items"][0] |= broken

    with pytest.raises(jsonschema.ValidationError):
        check_schema(TransactionsFile, transactions)


def test_ocf__read_by_another_program__has_the_cap_table_of_its_block(chain: Moves) -> None:
    for number in blocks(chain):
        as_of = f"block:{number}"
        response = exported(chain, "ocf", as_of=as_of)
        package = Captable.load(io.BytesIO(response.content))
        names = {item.id: item.name.legal_name for item in package.stakeholders}
        held = {names[tx.stakeholder_id]: int(tx.quantity.root) for tx in package.transactions}
        expected = table_at(chain, as_of)
        assert held == {wallet: balance for wallet, (balance, _, _) in expected.items()}
        assert len(package.transactions) == len(held) == len(names)
        legends = {names[tx.stakeholder_id] for tx in package.transactions if tx.stock_legend_ids}
        assert legends == {wallet for wallet, (_, locked, _) in expected.items() if locked}
        assert package.manifest.issuer.legal_name
        assert package.manifest.as_of.root == chain.block(number).mined_at.date()


def test_ocf__of_known_and_unknown_wallets__says_which(chain: Moves) -> None:
    stakeholders = json.loads(unpacked(exported(chain, "ocf"))["stakeholders.ocf.json"])["items"]

    unknown = [item for item in stakeholders if item["comments"]]
    assert len(stakeholders) - len(unknown) == len(chain.buyers)
    assert all(item["name"]["legal_name"].startswith("0x") for item in stakeholders)


def test_export__block_is_taken_back_before_it_is_written__fails(house: House) -> None:
    chain = moves(house)
    last = chain.mine(minted(wallet_no(1), 5))
    job = open_export(chain, "csv")
    chain.take_back_to(last - 1, "second")
    chain.mine(minted(wallet_no(1), 6))
    work(house)

    failed = read(house, job)
    assert (failed["state"], failed["problem"]["code"]) == ("FAILED", "export_block_lost")
    problem_of(take(house, job), 409, "export_failed")


def test_export__block_is_taken_back_afterwards__says_so(house: House) -> None:
    chain = moves(house)
    last = chain.mine(minted(wallet_no(1), 5))
    job = open_export(chain, "csv")
    work(house)
    assert read(house, job)["as_of_block"]["finality"] == "latest"
    chain.take_back_to(last - 1, "third")
    chain.mine(minted(wallet_no(1), 6))

    assert read(house, job)["as_of_block"]["finality"] == "orphaned"
    response = take(house, job)
    assert response.headers["Milkiyat-Block-Finality"] == "orphaned"
    (row,) = csv.DictReader(io.StringIO(response.text))
    assert row["balance_units"] == "5"


def test_export__worker_stopped_midway__is_written_by_the_next(
    chain: Moves, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = open_export(chain, "ocf")
    stop = threading.Event()
    monkeypatch.setattr(ocf, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr("registry.export.runner.TOLD_EVERY_ROWS", 7)
    seen: list[str] = []
    told: list[int] = []

    def stops(address: str) -> str:
        seen.append(address)
        if len(seen) == 20:
            told.append(read(chain.house, job)["progress"]["done"])
            stop.set()
        return to_checksum_address(address)

    services = chain.house.services
    cut = ExportWorker(services.database, services.vault, services.store, stops)
    assert cut.turn(stop)
    running = read(chain.house, job)
    assert (running["state"], running["progress"]["done"]) == ("RUNNING", 14)
    assert told == [14]
    problem_of(take(chain.house, job), 409, "export_not_ready")

    work(chain.house)
    assert read(chain.house, job)["state"] == "DONE"
    assert (
        len(json.loads(unpacked(take(chain.house, job))["transactions.ocf.json"])["items"])
        == HOLDERS
    )


def test_export__its_token_is_read_anew__waits_alone(house: House, chain: Moves) -> None:
    other = moves(house)
    other.mine(minted(wallet_no(1), 5))
    waits, written = open_export(other, "csv"), open_export(chain, "csv")
    behind = "UPDATE token SET caught_up_to = {} WHERE address = :address"
    with house.database.transaction() as session:
        run, values = session.connection().execute, {"address": other.token}
        run(text(behind.format(3)), values)
    worker, stop = worker_of(house), threading.Event()

    assert worker.turn(stop)
    assert read(house, written)["state"] == "DONE"
    # It alone is no reason to wait for long: what is asked for now is written in the next turn.
    assert not worker.turn(stop)
    later = open_export(chain, "csv")
    assert worker.turn(stop)
    assert read(house, later)["state"] == "DONE"

    with house.database.transaction() as session:
        session.connection().execute(text(behind.format("NULL")), values)
    work(house)
    assert read(house, waits)["state"] == "DONE"


def test_export__its_time_is_over__is_forgotten(chain: Moves) -> None:
    job = open_export(chain, "csv")
    work(chain.house)
    with chain.house.database.transaction() as session:
        late = "UPDATE cap_table_export SET expires_at = now() - interval '1 s' WHERE id = :id"
        session.connection().execute(text(late), {"id": job["id"]})
    work(chain.house)

    assert read(chain.house, job)["state"] == "EXPIRED"
    problem_of(take(chain.house, job), 409, "export_expired")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"format": "pdf"}, 422, "request_invalid"),
        ({}, 422, "request_invalid"),
        ({"format": "csv", "as_of": "rubbish"}, 422, "as_of_malformed"),
        ({"format": "csv", "as_of": "block:999999"}, 409, "block_not_synced"),
        ({"format": "csv", "as_of": "block:1"}, 404, "not_found"),
        ({"format": "csv", "other": 1}, 422, "unknown_field"),
    ],
    ids=str,
)
def test_export__asked_wrongly__is_refused(
    chain: Moves, body: dict[str, Any], status: int, code: str
) -> None:
    with chain.house.unchanged():
        response = chain.house.caller(Role.REGULATOR).post(
            f"/v1/tokens/{chain.token_id}/exports", body
        )

    problem_of(response, status, code)


def test_exports__of_a_token__are_listed_in_their_order(chain: Moves) -> None:
    job = open_export(chain, "csv")
    path = f"/v1/tokens/{chain.token_id}/exports"
    listed = chain.house.caller(Role.AUDITOR).get(path, limit=200).json()["items"]

    assert listed[-1]["id"] == job["id"]
    assert [item["recorded_at"] for item in listed] == sorted(
        item["recorded_at"] for item in listed
    )
    work(chain.house)


def test_command__export__writes_the_same_file_and_names_its_block(
    chain: Moves, tmp_path: Path
) -> None:
    job = open_export(chain, "csv", as_of="block:103")
    work(chain.house)
    app = captable_commands(lambda work_on: work_on(chain.house.database))
    file = tmp_path / "table.csv"
    arguments = ["export", str(chain.token_id), str(file), "--as-of", "block:103"]

    said = CliRunner().invoke(app, arguments)

    assert said.exit_code == 0, said.output
    assert file.read_bytes() == take(chain.house, job).content
    assert f"block 103 0x{chain.block(103).hash.hex()}" in said.output
    assert read(chain.house, job)["sha256"] in said.output
    assert list(tmp_path.iterdir()) == [file]


def test_command__file_cannot_be_written__says_so(chain: Moves, tmp_path: Path) -> None:
    app = captable_commands(lambda work_on: work_on(chain.house.database))
    file = tmp_path / "no" / "folder.csv"

    said = CliRunner().invoke(app, ["export", str(chain.token_id), str(file)])

    assert said.exit_code == 1
    assert "cannot be written" in said.output
