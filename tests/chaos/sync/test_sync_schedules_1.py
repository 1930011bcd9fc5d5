"""Schedules 1 to 15 of `make chaos-sync`, in a file of their own: files run side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.sync.arena import Arena
from tests.chaos.sync.play import play
from tests.chaos.sync.schedule import plan

pytestmark = pytest.mark.db


@pytest.mark.parametrize("seed", range(1, 16))
def test_schedule__whatever_breaks__cap_table_is_exact(
    arena: Arena, tmp_path: Path, seed: int
) -> None:
    assert play(arena, plan(seed), tmp_path / "sync.log").differs == []
