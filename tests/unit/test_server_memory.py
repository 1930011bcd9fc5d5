"""How much memory the embedded server takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from registry.kernel.memory import LEAST_MB, MOST_MB, SHARE, buffers_mb

pytestmark = pytest.mark.unit


def machine(monkeypatch: pytest.MonkeyPatch, megabytes: int) -> None:
    said = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": megabytes * 256}
    monkeypatch.setattr(os, "sysconf", lambda name: said[name])


@pytest.mark.parametrize(
    ("memory", "taken"), [(512, LEAST_MB), (4_096, 4_096 // SHARE), (65_536, MOST_MB)]
)
def test_buffers__by_the_memory_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, memory: int, taken: int
) -> None:
    machine(monkeypatch, memory)

    assert buffers_mb(tmp_path / "no such file") == taken


@pytest.mark.parametrize(("told", "taken"), [("max", MOST_MB), (str(2_048 * 2**20), 256)])
def test_buffers__in_a_container__by_its_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str, taken: int
) -> None:
    machine(monkeypatch, 65_536)
    limit = tmp_path / "memory.max"
    limit.write_text(f"{told}\n")

    assert buffers_mb(limit) == taken
