"""From the commit of an order that stops every dealing to the halt of its token, final on chain.

The whole program runs, on a node that mines a block each second. An order is registered and
discharged over HTTP, again and again; each time the operation that halts the token tells when it
was planned, in the request's own transaction, and when it was final. By default that is one block
deep, so a second is waited for twice; FINALITY=0 shows when the token stopped.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from api.program import running_program
from api.starting import load_settings
from bench.figures import print_figure
from bench.gas_node import CHAIN_ID, free_port
from bench.timing import percentile
from chain.embedded.anvil import HOST, launch
from chain.node.client import ChainClient
from chain.runtime import embedded_keys
from demo.client import Office
from demo.onboarding import ensure_panel, onboard
from demo.people import CHECKER, COMPLIANCE, MAKER, VERIFIER
from demo.seed import load_seed
from demo.tokenizing import enrol_buyers, tokenize
from registry.kernel.settings import get_settings

ASSET = "LHR-APT-0001"
ROUNDS = int(os.environ.get("BENCH_HALTS", "30"))
TARGET_MS = 2_000.0
BLOCK_SECONDS = 1
DEFAULT_FINALITY = 1


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="milkiyat-halt-"))
    try:
        with _slow_node(folder) as rpc_url:
            taken = _play(folder / "data", rpc_url)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    finality = get_settings().finality
    named = "" if finality == DEFAULT_FINALITY else f".{finality}_confirmations"
    for percent in (50, 99):
        print_figure(
            f"halt.commit_to_final{named}.p{percent}_ms",
            percentile(taken, percent),
            "ms",
            against="target",
            other=TARGET_MS,
        )


def _play(data: Path, rpc_url: str) -> list[float]:
    """Run the program on the node; return how long each halt took, in milliseconds."""
    said = {"DATA_DIR": str(data), "PORT": str(free_port()), "RPC_URL": rpc_url}
    os.environ.update(said, LOG_LEVEL="error")
    settings = load_settings()
    assert settings.payment_webhook_secret is not None
    secret = settings.payment_webhook_secret.get_secret_value()
    _fund(ChainClient(rpc_url, settings.chain_id), embedded_keys(settings))
    with running_program(settings, lambda _: None) as address:
        return _halts(Office(address, secret, Console(file=io.StringIO())))


@contextlib.contextmanager
def _slow_node(folder: Path) -> Iterator[str]:
    node = launch(folder, free_port(), CHAIN_ID)
    try:
        rpc_url = f"http://{HOST}:{node.port}"
        ChainClient(rpc_url, CHAIN_ID).request("evm_setIntervalMining", BLOCK_SECONDS)
        yield rpc_url
    finally:
        node.end()


def _fund(client: ChainClient, keys: Path) -> None:
    for path in keys.glob("*.json"):
        address = json.loads(path.read_text("utf-8"))["address"]
        client.request("anvil_setBalance", f"0x{address.removeprefix('0x')}", hex(10**24))


def _halts(office: Office) -> list[float]:
    """Put an order in force and discharge it, again and again; milliseconds until each halt."""
    seed = load_seed()
    office.await_platform()
    ensure_panel(office)
    asset = next(asset for asset in seed.assets if asset["code"] == ASSET)
    record = onboard(office, seed, asset)
    enrol_buyers(office)
    (token,) = tokenize(office, seed, [(asset, record)])
    return [_halt(office, record, token, number) for number in range(ROUNDS)]


def _halt(
    office: Office, record: Mapping[str, Any], token: Mapping[str, Any], number: int
) -> float:
    order = _verified_paper(office, record["id"], "COURT_ORDER", number)
    said = {
        "kind": "STAY_ORDER",
        "authority": "Lahore High Court",
        "case_no": f"WP {number}/2026",
        "source_document_id": order,
    }
    stay = office.post(MAKER, f"/v1/titles/{record['title_id']}/encumbrances", said)
    # At any moment between two blocks, as orders come.
    time.sleep(BLOCK_SECONDS * number / ROUNDS)
    office.post(CHECKER, f"/v1/encumbrances/{stay['id']}/activate")
    halt = _await_last(office, token, "set_title_status")
    release = _verified_paper(office, record["id"], "VACATING_ORDER", number)
    office.post(MAKER, f"/v1/encumbrances/{stay['id']}/discharge", {"document_id": release})
    office.post(CHECKER, f"/v1/encumbrances/{stay['id']}/discharge", {"confirmation": "Vacated"})
    _await_last(office, token, "confirm_lift")
    planned, final = (datetime.fromisoformat(halt[name]) for name in ("recorded_at", "ended_at"))
    return (final - planned).total_seconds() * 1000


def _verified_paper(office: Office, asset_id: str, kind: str, number: int) -> str:
    content = f"%PDF-1.7\n{kind} {number}\n%%EOF\n".encode()
    paper = office.upload(MAKER, f"/v1/assets/{asset_id}/documents", kind, content)
    seen = {"source_registry": "Lahore High Court", "source_reference": f"{kind} {number}"}
    office.post(VERIFIER, f"/v1/documents/{paper['id']}/verify", seen)
    return str(paper["id"])


def _await_last(office: Office, token: Mapping[str, Any], kind: str) -> Any:
    """Wait for the newest operation of a kind on the token."""
    query = {"subject_id": token["id"], "limit": "200"}
    found = office.get(COMPLIANCE, "/v1/operations", **query)["items"]
    newest = [item for item in found if item["kind"] == kind][-1]
    return office.await_final(newest, ASSET, kind)


if __name__ == "__main__":
    main()
