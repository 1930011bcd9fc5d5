"""The bench of gas: ours beside the published suite, and what it must not fall back to."""

from __future__ import annotations

import json
import os

import pytest

from tests.e2e.program import run

pytestmark = pytest.mark.e2e

MOST_OF_STOCK = {
    ("gas.new_investor", "stock"): 0.2,
    ("gas.new_investor.alone", "stock"): 0.3,
    ("gas.mint_batch_new_holder.bare", "stock"): 0.7,
    ("gas.mint_batch_new_holder", "stock"): 1.1,
    ("gas.mint_batch_new_holder", "stock_same_modules"): 0.7,
    ("gas.mint_batch_new_holder", "stock_three_modules_recorded"): 0.66,
    ("gas.transfer.bare", "stock"): 0.85,
    ("gas.transfer", "stock"): 1.15,
    ("gas.transfer", "stock_same_modules"): 0.9,
    ("gas.transfer", "stock_three_modules_recorded"): 0.78,
}
"""Figure and peer, in the order of printing, and the highest ratio that is not a step back."""


def test_bench_gas__figures__stay_below_their_peers() -> None:
    done = run(["bench.gas"], os.environ)
    assert done.returncode == 0, done.stderr
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["figure"], line["against"]) for line in figures] == list(MOST_OF_STOCK)
    for line in figures:
        assert line["unit"] == "gas"
        most = MOST_OF_STOCK[line["figure"], line["against"]]
        assert 0 < line["ratio"] <= most, line
