"""`make bench-api`: what phones ask most, per second and in milliseconds.

BENCH_HOLDERS (1,000,000) investors, each with an order and a wallet that holds a token with
BENCH_TRANSFERS (10,000,000) transfers. The API runs in one process, with tokens, quotas and
transactions as in production; another process asks. `.per_s` is what CONNECTIONS get who ask again
as soon as they are answered, for BENCH_SECONDS (5), beside what the same application answers with
a constant to a caller who has signed in; `.p50_ms` and `.p99_ms` are at RATE requests a second,
counted from the moment at which each was due.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from api.auth.tokens import DevelopmentIssuer
from api.cli import load_settings
from api.program import services
from api.schemas.common import address_of
from bench.api_stage import ApiStage, build_stage
from bench.captable_rows import CHAIN_ID
from bench.figures import print_figure
from bench.load import Answered, Load, apply_load
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres
from registry.kernel.settings import Settings
from tests.factories import ACTORS

HOLDERS = int(os.environ.get("BENCH_HOLDERS", "1000000"))
TRANSFERS = int(os.environ.get("BENCH_TRANSFERS", "10000000"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
RATE = 100
CONNECTIONS = 8
START_SECONDS = 60.0
LEAST_RATIO = 0.5
P99_LIMIT_MS = 25.0
Requests = list[tuple[str, str]]


def main() -> None:
    with contextlib.ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="milkiyat-api-", ignore_cleanup_errors=True)
            )
        )
        folder.chmod(0o755)
        server = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        settings = _settings(folder, server.start())
        assert settings.database_url is not None
        database = Database(settings.database_url.get_secret_value())
        made = services(settings, database)
        stage = build_stage(database, made.vault, made.store, HOLDERS, TRANSFERS)
        database.dispose()
        bench = Bench(settings, stage)
        with bench.serving():
            bench.measure()


def _settings(folder: Path, database_url: str) -> Settings:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    os.environ.update(
        DATA_DIR=str(folder / "data"),
        DATABASE_URL=database_url,
        PORT=str(port),
        LOG_LEVEL="error",
        CHAIN_ID=str(CHAIN_ID),
        RPC_URL="http://127.0.0.1:9",  # nothing that is asked here needs the node
        # Counted as always, and never used up.
        RATE_LIMIT_PRINCIPAL_PER_MINUTE="100000000",
        RATE_LIMIT_ADDRESS_PER_MINUTE="100000000",
    )
    return load_settings()


@dataclass(frozen=True, slots=True)
class Bench:
    """The API on a stage."""

    settings: Settings
    stage: ApiStage

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Run the API, until it can be asked."""
        server = subprocess.Popen([sys.executable, "-m", "bench.api_server"])
        try:
            ends_at = time.monotonic() + START_SECONDS
            while time.monotonic() < ends_at and server.poll() is None:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", self.settings.port), 1).close()
                    break
                time.sleep(0.05)
            yield
        finally:
            server.terminate()
            server.wait()

    def measure(self) -> None:
        """Print every figure; what is asked is asked by everybody in turn."""
        auditor = self._token(None)
        token, sale = self.stage.token_id, self.stage.sale_id
        bare = self._ask("constant", [self._get("/v1/bench/constant", auditor)])
        known = self._ask("known", self._each(lambda _: "/v1/bench/known"))
        against = "a constant answered to a known caller"
        print_figure(
            "api.constant.per_s", known.per_s, "/s",
            against="a constant answered to anybody", other=bare.per_s,
        )  # fmt: skip
        orders = {each.actor.subject: each.order_id for each in self.stage.people}
        reads: dict[str, Requests] = {
            "portfolio": self._each(lambda _: "/v1/me/portfolio"),
            "cap_table": [self._get(f"/v1/tokens/{token}/cap_table?limit=50", auditor)],
            "offerings": self._each(lambda _: "/v1/offerings"),
            "order": self._each(lambda actor: f"/v1/orders/{orders[actor]}"),
        }
        for name, requests in reads.items():
            self._tell(name, self._ask(name, requests), known.per_s, against, requests)
        placing = [
            self._post(f"/v1/offerings/{sale}/orders", index) for index in range(len(orders))
        ]
        self._tell(
            "place_order", self._ask("placing", placing, run="a"), known.per_s, against, placing
        )

    def _tell(
        self, name: str, fast: Answered, constant: float, against: str, requests: Requests
    ) -> None:
        print_figure(f"api.{name}.per_s", fast.per_s, "/s", against=against, other=constant)
        steady = self._ask(name, requests, per_s=RATE, run="b" if name == "place_order" else "")
        at = f"at {RATE} requests a second; the limit of {P99_LIMIT_MS:.0f} ms"
        print_figure(f"api.{name}.p50_ms", steady.p50_ms, "ms", against=at, other=P99_LIMIT_MS)
        print_figure(f"api.{name}.p99_ms", steady.p99_ms, "ms", against=at, other=P99_LIMIT_MS)

    def _ask(self, name: str, requests: Requests, *, per_s: float = 0, run: str = "") -> Answered:
        port = self.settings.port
        if not per_s:
            warm = f"w{run}" if run else ""
            apply_load(Load(port, requests, 1, CONNECTIONS, run=warm))
        # Slow ones stand in nobody's way: there are connections for a second's requests.
        connections = RATE if per_s else CONNECTIONS
        seen = apply_load(Load(port, requests, SECONDS, connections, per_s, run))
        refused = {status: many for status, many in seen.statuses.items() if status[0] != "2"}
        assert not refused, f"{name} was refused: {refused}"
        return seen

    def _each(self, path: Callable[[str], str]) -> Requests:
        return [
            self._get(path(each.actor.subject), self._token(index))
            for index, each in enumerate(self.stage.people)
        ]

    def _token(self, index: int | None) -> str:
        role = Role.AUDITOR if index is None else Role.INVESTOR
        actor = ACTORS[role] if index is None else self.stage.people[index].actor
        issuer = DevelopmentIssuer(self.settings)
        return issuer.issue(actor.subject, [role], timedelta(hours=2))

    def _get(self, path: str, token: str) -> tuple[str, str]:
        return f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n", ""

    def _post(self, path: str, index: int) -> tuple[str, str]:
        body = json.dumps({"units": "1", "wallet": address_of(self.stage.people[index].wallet)})
        head = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._token(index)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        return head, body


if __name__ == "__main__":
    main()
