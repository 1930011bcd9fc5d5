"""`make bench-api`: what phones ask most, per second and in milliseconds.

BENCH_HOLDERS (1,000,000) investors, each with an order and a wallet that holds a token with
BENCH_TRANSFERS (10,000,000) transfers. The API runs in one process, with tokens, quotas and
transactions as in production; another process asks. `.per_s` is what CONNECTIONS get who ask again
as soon as they are answered, for BENCH_SECONDS (5), beside what the same application answers with
a constant to a caller who has signed in; `.p50_ms` and `.p99_ms` are at RATE requests a second,
counted from the moment at which each was due.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from api.auth.tokens import DevelopmentIssuer
from api.deps import Services
from api.schemas.common import address_of
from bench.api_stage import ApiStage, build_stage
from bench.figures import print_figure
from bench.load import Answered, Load, apply_load
from bench.serving import serving_stage
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.kernel.settings import Settings
from tests.factories import ACTORS

HOLDERS = int(os.environ.get("BENCH_HOLDERS", "1000000"))
TRANSFERS = int(os.environ.get("BENCH_TRANSFERS", "10000000"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
RATE = 100
CONNECTIONS = 8
TURNS = 4
WARM_UP_SECONDS = 0.5
P99_LIMIT_MS = 25.0
Requests = list[tuple[str, str]]


def main() -> None:
    def build(made: Services, database: Database) -> ApiStage:
        return build_stage(database, made.vault, made.store, HOLDERS, TRANSFERS)

    with serving_stage(build) as (settings, stage):
        Bench(settings, stage).measure()


@dataclass(frozen=True, slots=True)
class Bench:
    """The API on a stage."""

    settings: Settings
    stage: ApiStage

    def measure(self) -> None:
        """Print every figure; what is asked is asked by everybody in turn."""
        known = self._each(lambda _: "/v1/bench/known")
        bare, signed_in = self._beside([self._get("/v1/bench/constant")], known)
        print_figure(
            "api.constant.per_s",
            signed_in,
            "/s",
            against="a constant answered to anybody",
            other=bare,
        )
        orders = {each.actor.subject: each.order_id for each in self.stage.people}
        token = self.stage.token_id
        table = f"/v1/tokens/{token}/cap_table?limit=50"
        self._tell("portfolio", self._each(lambda _: "/v1/me/portfolio"), known)
        self._tell("cap_table", [self._get(table, self._token(None))], known)
        self._tell("offerings", self._each(lambda _: "/v1/offerings"), known)
        self._tell("order", self._each(lambda who: f"/v1/orders/{orders[who]}"), known)
        self._tell("place_order", [self._order(index) for index in range(len(orders))], known)

    def _tell(self, name: str, requests: Requests, known: Requests) -> None:
        rate, constant = self._beside(requests, known, run=name)
        against = "a constant answered to a known caller"
        print_figure(f"api.{name}.per_s", rate, "/s", against=against, other=constant)
        # Slow ones stand in nobody's way: there are connections for a second's requests.
        steady = self._ask(requests, SECONDS, connections=RATE, per_s=RATE, run=f"{name}-steady")
        at = f"at {RATE} requests a second; the limit of {P99_LIMIT_MS:.0f} ms"
        print_figure(f"api.{name}.p50_ms", steady.p50_ms, "ms", against=at, other=P99_LIMIT_MS)
        print_figure(f"api.{name}.p99_ms", steady.p99_ms, "ms", against=at, other=P99_LIMIT_MS)

    def _beside(self, ours: Requests, others: Requests, *, run: str = "") -> tuple[float, float]:
        """Ask by turns, so that a machine that is shared slows both alike; return both rates."""
        taken: tuple[list[float], list[float]] = [], []
        for turn in range(-1, TURNS):
            for requests, rates in zip((ours, others), taken, strict=True):
                seconds = SECONDS / TURNS if turn >= 0 else WARM_UP_SECONDS
                seen = self._ask(requests, seconds, connections=CONNECTIONS, run=f"{run}-{turn}")
                if turn >= 0:
                    rates.append(seen.per_s)
        return sum(taken[0]) / TURNS, sum(taken[1]) / TURNS

    def _ask(
        self, requests: Requests, seconds: float, *, connections: int, run: str, per_s: float = 0
    ) -> Answered:
        is_read = requests[0][0].startswith("GET")
        load = Load(
            self.settings.port, requests, seconds, connections, per_s, "" if is_read else run
        )
        seen = apply_load(load)
        refused = {status: many for status, many in seen.statuses.items() if status[0] != "2"}
        assert not refused, f"{requests[0][0].splitlines()[0]} was refused: {refused}"
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

    def _get(self, path: str, token: str | None = None) -> tuple[str, str]:
        known = f"Authorization: Bearer {token}\r\n" if token else ""
        return f"GET {path} HTTP/1.1\r\nHost: bench\r\n{known}", ""

    def _order(self, index: int) -> tuple[str, str]:
        wallet = address_of(self.stage.people[index].wallet)
        body = json.dumps({"units": "1", "wallet": wallet})
        head = (
            f"POST /v1/offerings/{self.stage.sale_id}/orders HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {self._token(index)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        return head, body


if __name__ == "__main__":
    main()
