"""Schedules 21 to 30 of `make chaos-operations`, in a file of their own: files run side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.planning import plan
from tests.chaos.play import play
from tests.chaos.stage import Stage

pytestmark = pytest.mark.chain


@pytest.mark.parametrize("seed", range(21, 31))
def test_schedule__whatever_breaks__everything_happens_once(
    chaos_stage: Stage, tmp_path: Path, seed: int
) -> None:
    result = play(chaos_stage, plan(seed), tmp_path / "workers.log")
    assert result.verdict.lost == []
    assert result.verdict.doubled == []
