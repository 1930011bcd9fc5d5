"""The public API as the demo's people use it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from rich.console import Console
from standardwebhooks.webhooks import Webhook

from demo.people import COMPLIANCE, Person

OPERATION_SECONDS = 60.0


class DemoFailed(Exception):
    """Something that the demo shows did not happen."""


class Office:
    """One API, many people, and the tale of what they did.

    Parameters
    ----------
    address
        The API's address.
    bank_secret
        Signs the bank's notices (Standard Webhooks).
    """

    def __init__(self, address: str, bank_secret: str, console: Console) -> None:
        self._http = httpx.Client(base_url=address, timeout=30.0, trust_env=False)
        self._bank = Webhook(bank_secret)
        self._tokens: dict[str, str] = {}
        self._console = console
        self._started = time.monotonic()

    def close(self) -> None:
        self._http.close()

    def tell(self, subject: str, person: Person | str, what: str) -> None:
        """Print one line for one step."""
        who = person if isinstance(person, str) else person.subject
        elapsed = time.monotonic() - self._started
        clock, whom = f"[dim]{elapsed:6.1f} s[/dim]", f"[cyan]{who:<17}[/cyan]"
        self._console.print(
            f"{clock}  [bold]{subject:<18}[/bold] {whom} {what}", highlight=False, soft_wrap=True
        )

    def await_platform(self) -> None:
        """Wait until the chain is read and the platform's own contracts stand."""
        deadline = time.monotonic() + OPERATION_SECONDS
        with self._console.status("deploying the platform's contracts") as status:
            while time.monotonic() < deadline:
                steps = self.get(COMPLIANCE, "/v1/operations", limit="200")["items"]
                final = [step for step in steps if step["state"] == "final"]
                status.update(f"deploying the platform's contracts ({len(final)}/{len(steps)})")
                ready = self._http.get("/readyz").is_success
                if ready and steps and all(s["ended_at"] for s in steps if _is_platform(s)):
                    self.tell("platform", "chain", "T-REX, ONCHAINID and ClaimIssuer stand")
                    return
                time.sleep(0.1)
        raise DemoFailed("the platform's contracts were not deployed in time")

    def get(self, person: Person, path: str, **query: str) -> Any:
        return self._answer(self._send(person, "GET", path, params=query))

    def post(self, person: Person, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Do something once: the key names exactly this request, so a repeat is harmless."""
        return self._answer(self.try_post(person, path, body))

    def exists(self, person: Person, path: str) -> bool:
        """Tell whether there is something at `path`."""
        response = self._send(person, "GET", path)
        if response.status_code == httpx.codes.NOT_FOUND:
            return False
        self._answer(response)
        return True

    def ask(self, person: Person, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Post something whose answer changes with the register, and so carries no key."""
        return self._answer(self._send(person, "POST", path, json=body))

    def try_post(
        self, person: Person, path: str, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        text = json.dumps(body or {}, sort_keys=True)
        digest = hashlib.sha256(f"{path} {text}".encode()).hexdigest()[:32]
        headers = {"Idempotency-Key": f"demo-{digest}"}
        return self._send(person, "POST", path, headers=headers, json=body)

    def upload(self, person: Person, path: str, kind: str, content: bytes) -> Any:
        headers = {"Idempotency-Key": f"demo-{hashlib.sha256(content).hexdigest()}"}
        file = (f"{kind.lower()}.pdf", content, "application/pdf")
        return self._answer(
            self._send(
                person, "POST", path, headers=headers, data={"kind": kind}, files={"file": file}
            )
        )

    def send_list(self, person: Person, path: str, name: str, content: bytes) -> httpx.Response:
        """Send a file that may have been taken in before."""
        files = {"file": (name, content, "application/xml")}
        headers = {"Idempotency-Key": f"demo-{hashlib.sha256(content).hexdigest()}"}
        return self._send(person, "POST", path, headers=headers, files=files)

    def notify_payment(self, order: Mapping[str, Any]) -> Any:
        """Be the bank: say that an order's money has arrived, and sign it."""
        notice = {
            "bank_reference": f"DEMOBANK-{order['reference']}",
            "order_reference": order["reference"],
            "amount": order["amount"],
            "received_at": datetime.now(UTC).isoformat(),
        }
        body, message, moment = json.dumps(notice), notice["bank_reference"], datetime.now(UTC)
        headers = {
            "webhook-id": message,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": self._bank.sign(message, moment, body),
            "content-type": "application/json",
        }
        path = "/v1/payments/webhooks/bank_transfer"
        return self._answer(self._http.post(path, content=body, headers=headers))

    def await_final(self, operation: Mapping[str, Any], subject: str, what: str) -> Any:
        """Wait until the chain has done it for good."""
        deadline = time.monotonic() + OPERATION_SECONDS
        with self._console.status(f"{subject}: {what} ({operation['state']})") as status:
            while True:
                seen = self.get(COMPLIANCE, f"/v1/operations/{operation['id']}")
                if seen["state"] == "final":
                    transaction = seen["attempts"][-1]
                    self.tell(
                        subject,
                        "chain",
                        f"{what}: final in block {transaction['block_number']}, "
                        f"{transaction['tx_hash'][:18]}…",
                    )
                    return seen
                if seen["problem"] is not None or time.monotonic() > deadline:
                    raise DemoFailed(f"{subject}: {what} is {seen['state']}: {seen['problem']}")
                status.update(f"{subject}: {what} ({seen['state']})")
                time.sleep(0.1)

    def _send(self, person: Person, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token(person)}"} | more.pop("headers", {})
        return self._http.request(method, path, headers=headers, **more)

    def _token(self, person: Person) -> str:
        if person.subject not in self._tokens:
            body = {"subject": person.subject, "roles": [person.role]}
            answer = self._answer(self._http.post("/dev/token", json=body))
            self._tokens[person.subject] = answer["access_token"]
        return self._tokens[person.subject]

    @staticmethod
    def _answer(response: httpx.Response) -> Any:
        if response.is_error:
            request = response.request
            raise DemoFailed(f"{request.method} {request.url.path}: {response.text}")
        return response.json()


def _is_platform(step: Mapping[str, Any]) -> bool:
    return bool(step["kind"] == "platform_step")
