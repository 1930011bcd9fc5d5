"""`make bench-reports`: how long a regulator waits for the first page of each report.

BENCH_HOLDERS (1,000,000) investors hold a token with BENCH_TRANSFERS (10,000,000) transfers,
beside BENCH_ASSETS (100,000) assets with title, value, papers and a lien. One caller asks a report
again as soon as it is answered, of another subject each time, for BENCH_SECONDS (3): through HTTP,
with token, quota, purpose, journal and signature. A process that has just begun has composed no
statement yet: the first WARM_UP_SECONDS are told apart, by the slowest answer of all of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlencode

from api.auth.tokens import DevelopmentIssuer
from api.deps import Services
from bench.figures import print_figure
from bench.load import Answered, Load, apply_load
from bench.reports_stage import MIDDLE, Query, ReportStage, build_report_stage
from bench.serving import serving_stage
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.kernel.settings import Settings
from registry.report.catalogue import CATALOGUE
from tests.factories import ACTORS

HOLDERS = int(os.environ.get("BENCH_HOLDERS", "1000000"))
TRANSFERS = int(os.environ.get("BENCH_TRANSFERS", "10000000"))
ASSETS = int(os.environ.get("BENCH_ASSETS", "100000"))
WARM_UP_SECONDS = 0.5
SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))
PAGE_LIMIT_MS = 300.0
HOLDINGS_LIMIT_MS = 20.0


def main() -> None:
    def build(made: Services, database: Database) -> ReportStage:
        return build_report_stage(
            database, made.vault, made.store, holders=HOLDERS, transfers=TRANSFERS, assets=ASSETS
        )

    with serving_stage(build) as (settings, stage):
        measure(settings, stage)


def measure(settings: Settings, stage: ReportStage) -> None:
    """Print the figure of each report, and the worst of them."""
    worst = worst_at_first = 0.0
    for report in CATALOGUE:
        questions = stage.questions.get(report.code, [{}])
        first = _ask(settings, report.code, questions, WARM_UP_SECONDS)
        worst_at_first = max(worst_at_first, first.p99_ms)
        seen = _ask(settings, report.code, questions)
        worst = max(worst, seen.p99_ms)
        _print(f"reports.{report.code}.p99_ms", seen.p99_ms, PAGE_LIMIT_MS)
    _print("reports.first_page.worst_p99_ms", worst, PAGE_LIMIT_MS)
    _print("reports.first_page.after_start.worst_ms", worst_at_first, PAGE_LIMIT_MS)
    then = {"as_of": f"{MIDDLE:%Y-%m-%dT%H:%M:%SZ}"}
    past = [{"party": str(party)} | then for party in stage.parties]
    _ask(settings, "R-04", past, WARM_UP_SECONDS)
    holdings = _ask(settings, "R-04", past)
    _print("reports.holdings_as_of.p99_ms", holdings.p99_ms, HOLDINGS_LIMIT_MS)


def _print(figure: str, value: float, limit: float) -> None:
    print_figure(figure, value, "ms", against=f"the limit of {limit:.0f} ms", other=limit)


def _ask(
    settings: Settings, code: str, questions: Sequence[Query], seconds: float = SECONDS
) -> Answered:
    """Ask a report by one caller, and make sure that every question was answered."""
    issuer = DevelopmentIssuer(settings)
    token = issuer.issue(ACTORS[Role.REGULATOR].subject, [Role.REGULATOR], timedelta(hours=2))
    why = {"purpose": "inspection 12/2026", "legal_basis": "Companies Act 2017, s. 123A"}
    head = f" HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
    requests = [
        (f"GET /v1/reports/{code}?{urlencode(question | why)}{head}", "") for question in questions
    ]
    seen = apply_load(Load(settings.port, requests, seconds, connections=1))
    assert set(seen.statuses) == {"200"}, f"{code} answered {seen.statuses}"
    return seen


if __name__ == "__main__":
    main()
