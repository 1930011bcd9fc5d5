"""The stage of the short form: built once by each process that plays schedules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.stage import Stage, open_stage
from tests.conftest import in_memory, open_folder
from tests.watcher import ends_with_us


@pytest.fixture(scope="session")
def chaos_stage() -> Iterator[Stage]:
    with (
        open_folder(at=in_memory()) as folder,
        ends_with_us(folder / "postgres", folder),
        open_stage(folder) as stage,
    ):
        yield stage
