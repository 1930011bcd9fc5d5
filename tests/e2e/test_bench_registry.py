"""The registry's bench in its short form: three figures, each beside its peer."""

from __future__ import annotations

import json
import os

import pytest

from tests.e2e.program import run

pytestmark = pytest.mark.e2e


def test_bench_registry__in_its_short_form__prints_three_figures() -> None:
    environment = os.environ | {"BENCH_PARCELS": "1200", "BENCH_ROWS": "3000"}
    done = run(["bench.registry"], environment)
    assert done.returncode == 0, done.stderr
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["figure"], line["unit"]) for line in figures] == [
        ("registry.import.parcels_per_s", "parcels/s"),
        ("registry.overlap.p99_ms", "ms"),
        ("registry.title_as_of.p99_ms", "ms"),
    ]
    assert all(line["value"] > 0 and line["ratio"] > 0 and line["against"] for line in figures)
