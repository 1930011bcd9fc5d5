"""The stage of the short form: built once by each process that plays schedules."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.stage import Stage, open_stage


@pytest.fixture(scope="session")
def chaos_stage() -> Iterator[Stage]:
    prefix = "milkiyat-chaos-"
    with (
        tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder,
        open_stage(Path(folder)) as stage,
    ):
        yield stage
