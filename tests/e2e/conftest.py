"""Folders of our own: pytest closes its own ones to the account that PostgreSQL runs under."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="milkiyat-e2e-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
