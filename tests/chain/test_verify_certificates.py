"""`milkiyat verify` of a certificate: offline, against the node, and against the register."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from api.verify_cli import add_verify
from tests.api.house import House
from tests.api.people import ok
from tests.chain import anchored
from tests.chain.market import KEYS, Market
from tests.chain.test_certificates import certify_title
from tests.chain.test_eligibility_api import house_of
from tests.factories import CHECKER, MAKER

pytestmark = pytest.mark.chain


@dataclass
class Desk:
    """Somebody with a file and a key, and whatever they can reach."""

    house: House
    market: Market
    folder: Path
    certificate: str

    @property
    def record(self) -> dict[str, Any]:
        taken: dict[str, Any] = ok(
            self.house.caller(MAKER).get(f"/v1/certificates/{self.certificate}")
        )
        return taken

    @property
    def api(self) -> str:
        return str(self.house.client.base_url)

    def verify(self, content: bytes | dict[str, Any], *options: str) -> tuple[int, str]:
        app = typer.Typer()
        app.callback()(lambda: None)
        add_verify(app, lambda: self.house.database)
        file, keys = self.folder / "certificate", self.folder / "keys.json"
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        keys.write_text(self.house.stranger().get("/v1/public_keys").text)
        asked = ["verify", str(file), "--key", str(keys), *options]
        ended = CliRunner().invoke(app, asked)
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return ended.exit_code, ended.output


@pytest.fixture
def desk(minted: Market, tmp_path: Path) -> Iterator[Desk]:
    anchored.read_chain(minted.world)
    keys = dict(zip(("pii_key", "pii_index_key"), KEYS, strict=True))
    with house_of(minted.world, tmp_path / "api", **keys) as house:
        yield Desk(house, minted, tmp_path, certify_title(house, minted))


def test_verify__anchored__holds_offline_on_chain_and_in_the_register(desk: Desk) -> None:
    anchored.anchor(desk.market.world)
    pdf = desk.house.caller(MAKER).get(f"/v1/certificates/{desk.certificate}", format="pdf")
    everything = ("--rpc-url", desk.market.world.node.url, "--api", desk.api, "--database")

    for content in (desk.record, pdf.content):
        code, said = desk.verify(content)
        assert (code, "under the root" in said) == (0, True), said
        code, said = desk.verify(content, *everything)
        assert code == 0, said
        assert "the root stands on chain" in said
        assert "nothing has superseded it" in said


def test_verify__not_anchored__is_refused_only_on_chain(desk: Desk) -> None:
    assert desk.verify(desk.record)[0] == 0
    code, said = desk.verify(desk.record, "--rpc-url", desk.market.world.node.url)
    assert (code, "not_anchored" in said) == (1, True), said


def test_verify__root_that_is_not_on_chain__is_refused(desk: Desk) -> None:
    """A contract of the forger's own would say so; the one that the verifier knows does not."""
    anchored.anchor(desk.market.world)
    url, record = desk.market.world.node.url, desk.record
    place = record["proof"]["anchor"]["contract"]

    assert desk.verify(record, "--rpc-url", url, "--contract", place)[0] == 0
    code, said = desk.verify(record, "--rpc-url", url, "--contract", "0x" + "11" * 20)
    assert (code, "contract_unknown" in said) == (1, True), said
    desk.market.world.node.roll_back(
        desk.market.world.client.head().number - int(record["proof"]["anchor"]["block"]["number"])
        + 1
    )  # fmt: skip
    code, said = desk.verify(record, "--rpc-url", url)
    assert (code, "root_not_on_chain" in said) == (1, True), said


@pytest.mark.parametrize("how", ["api", "database"])
def test_verify__superseded_and_revoked__are_refused_with_the_reason(desk: Desk, how: str) -> None:
    options = ("--api", desk.api) if how == "api" else ("--database",)
    record = desk.record
    assert desk.verify(record, *options)[0] == 0
    desk.market.put_stay_order_in_force()

    code, said = desk.verify(record, *options)
    assert (code, "superseded" in said, "ENCUMBRANCE_ADDED since" in said) == (1, True, True), said
    assert desk.verify(record)[0] == 0

    body = {"reason": "Issued on the wrong application"}
    ok(desk.house.caller(CHECKER).post(f"/v1/certificates/{desk.certificate}/revoke", body))
    code, said = desk.verify(record, *options)
    assert (code, "revoked" in said) == (1, True), said


def test_verify__altered__is_refused_before_anybody_is_asked(desk: Desk) -> None:
    record = desk.record
    record["content"]["owners"][0]["name"] = "Somebody Else"

    code, said = desk.verify(record, "--api", "http://127.0.0.1:9")

    assert (code, "content_altered" in said) == (1, True), said


def test_verify__register_that_does_not_answer__is_no_proof(desk: Desk) -> None:
    code, said = desk.verify(desk.record, "--api", "http://127.0.0.1:9")

    assert (code, "register_unreachable" in said) == (1, True), said
