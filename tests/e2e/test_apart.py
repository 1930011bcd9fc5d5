"""API, worker and sync as programs of their own, on a database and a node from outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from chain.embedded.devnet import Devnet
from chain.node.client import hex_of
from chain.signing.keystore import KeystoreSigner, create_keystore
from registry.kernel.embedded import EmbeddedPostgres
from tests.e2e.program import DEADLINE_S, Program, environment, free_port, kill_group, start

pytestmark = pytest.mark.e2e

PASSWORD = "correct horse"
STOP_SECONDS = 20


class Parts:
    """The programs that run, and what they said."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self.env = env
        self._folder = folder
        self._running: dict[str, Program] = {}
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{env['PORT']}", trust_env=False, timeout=10
        )

    def start(self, part: str) -> None:
        self._running[part] = start(["api.cli", part], self.env, self._log(part))

    def kill(self, part: str) -> None:
        kill_group(self._running.pop(part))

    def stop(self) -> dict[str, int]:
        """Tell them to stop; return how each ended."""
        for program in self._running.values():
            program.terminate()
        ended = {part: program.wait(STOP_SECONDS) for part, program in self._running.items()}
        self._running.clear()
        return ended

    def close(self) -> None:
        self.http.close()
        for part in list(self._running):
            self.kill(part)

    def await_that(self, is_so: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            for part, program in self._running.items():
                assert program.poll() is None, self._log(part).read_text("utf-8")[-2000:]
            try:
                if found := is_so():
                    return found
            except httpx.TransportError:
                pass  # it does not listen yet
            time.sleep(0.1)
        said = [path.read_text("utf-8")[-1000:] for path in self._folder.glob("*.log")]
        raise AssertionError(said)

    def ask(self, method: str, path: str, who: str, role: str, body: Any = None) -> Any:
        headers = self._signed_in(who, role)
        answer = self.http.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    def upload(self, path: str, who: str, role: str, kind: str) -> None:
        file = (f"{kind.lower()}.pdf", b"%PDF-1.7", "application/pdf")
        headers = self._signed_in(who, role)
        answer = self.http.post(path, data={"kind": kind}, files={"file": file}, headers=headers)
        assert answer.is_success, answer.text

    def _signed_in(self, who: str, role: str) -> dict[str, str]:
        said = {"subject": who, "roles": [role]}
        token = self.http.post("/dev/token", json=said).json()["access_token"]
        return {"Authorization": f"Bearer {token}"}

    def _log(self, part: str) -> Path:
        return self._folder / f"{part}.log"


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    for name in ("platform.json", "claim_issuer.json", "confirmer.json"):
        create_keystore(tmp_path / "keys" / name, PASSWORD)
    with ExitStack() as stack:
        node = stack.enter_context(Devnet(tmp_path / "node", port=free_port()))
        postgres = stack.enter_context(EmbeddedPostgres(tmp_path / "postgres"))
        for name in ("platform.json", "confirmer.json"):
            sender = KeystoreSigner(tmp_path / "keys" / name, PASSWORD)
            node.fund(hex_of(sender.address), 10**24)
        env = environment(
            tmp_path / "data",
            DATABASE_URL=postgres.start(),
            RPC_URL=node.url,
            SIGNER_KEYSTORE=str(tmp_path / "keys"),
            SIGNER_PASSWORD=PASSWORD,
        )
        parts = Parts(env, tmp_path)
        stack.callback(parts.close)
        yield parts


def pass_kyc(parts: Parts) -> Any:
    """Enrol somebody with a wallet, and return the operation of the approval."""
    key = Account.create()
    person = {"person": {"name": "Ayesha", "cnic": "35202-1234567-1"}}
    investor = parts.ask("POST", "/v1/investors", "ayesha", "investor", person)
    wallets = f"/v1/investors/{investor['id']}/wallets"
    wallet = parts.ask("POST", wallets, "ayesha", "investor", {"address": key.address})
    signed = key.sign_message(encode_defunct(text=wallet["challenge"]))
    proof = {"signature": "0x" + bytes(signed.signature).hex()}
    parts.ask("POST", f"{wallets}/{key.address}/proof", "ayesha", "investor", proof)
    profile = {
        "occupation": "Teacher",
        "source_of_funds": "SALARY",
        "yearly_investment": {"amount": "500000.00"},
        "investment_purpose": "Saving",
        "tax_filer": True,
    }
    path = f"/v1/investors/{investor['id']}/kyc_reviews"
    review = parts.ask("POST", path, "ayesha", "investor", profile)
    path = f"/v1/kyc_reviews/{review['id']}"
    parts.upload(f"{path}/documents", "ayesha", "investor", "IDENTITY")
    parts.ask("POST", f"{path}/submit", "ayesha", "investor")
    assessment = {"recommendation": "APPROVE", "risk": "LOW", "is_pep": False, "reason": "Sound"}
    seen = parts.ask("POST", f"{path}/recommend", "amina", "compliance", assessment)
    decision = {
        "decision": "APPROVED",
        "valid_until": (datetime.now(UTC) + timedelta(days=30)).isoformat(),
        "evidence_sha256": seen["review_sha256"],
    }
    path = f"/v1/investors/{investor['id']}/kyc"
    return parts.ask("POST", path, "omar", "compliance", decision)


def test_parts__run_apart_and_the_worker_killed__carry_a_kyc_out_once(parts: Parts) -> None:
    parts.start("api")
    parts.await_that(lambda: parts.http.get("/healthz").is_success)
    assert parts.http.get("/readyz").status_code == 503  # nobody reads the chain yet
    parts.start("sync")
    parts.start("worker")
    operation = pass_kyc(parts)
    path = f"/v1/operations/{operation['id']}"

    # In the middle of the platform's own contracts, which come first.
    parts.await_that(lambda: final(parts) > 2)
    parts.kill("worker")
    assert parts.ask("GET", path, "omar", "compliance")["state"] == "planned"
    parts.start("worker")

    done = parts.await_that(lambda: is_final(parts.ask("GET", path, "omar", "compliance")))
    parts.await_that(lambda: parts.http.get("/readyz").is_success)
    me = parts.ask("GET", "/v1/me", "ayesha", "investor")["investor"]
    assert me["kyc_state"] == "APPROVED"
    assert me["wallets"][0]["identity"] is not None
    assert len(done["attempts"]) == 1
    # The module that no identity waits for may be on its way still.
    parts.await_that(lambda: final(parts) == len(operations(parts)))
    nonces = [item["nonce"] for item in operations(parts)]
    assert sorted(nonces) == list(range(len(nonces)))
    assert parts.stop() == {"api": 0, "sync": 0, "worker": 0}


def operations(parts: Parts) -> list[Any]:
    found = parts.ask("GET", "/v1/operations?limit=200", "omar", "compliance")["items"]
    assert isinstance(found, list)
    return found


def final(parts: Parts) -> int:
    return len([item for item in operations(parts) if item["state"] == "final"])


def is_final(operation: Any) -> Any:
    assert operation["problem"] is None, operation
    return operation if operation["state"] == "final" else None
