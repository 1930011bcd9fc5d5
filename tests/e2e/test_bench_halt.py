"""The bench of halts: an order that stops everything reaches the chain, and is lifted again."""

from __future__ import annotations

import json
import os

import pytest

from tests.e2e.program import run

pytestmark = pytest.mark.e2e


def test_bench_halt__one_order__is_final_and_lifted() -> None:
    done = run(["bench.halt"], os.environ | {"BENCH_HALTS": "1"})
    assert done.returncode == 0, done.stderr
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["figure"] for line in figures] == [
        "halt.commit_to_final.p50_ms",
        "halt.commit_to_final.p99_ms",
    ]
    assert all(line["value"] > 0 for line in figures)
