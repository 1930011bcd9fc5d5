"""No server outlives a run of tests that is killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from registry.kernel.settings import ROOT
from tests.watcher import ends_with_us

pytestmark = pytest.mark.db

END_SECONDS = 20
# A run of tests: it starts its server, says so, and waits to be killed.
RUN = """
import sys, time
from pathlib import Path
from registry.kernel.embedded import EmbeddedPostgres
from tests.watcher import ends_with_us
folder = Path(sys.argv[1])
with ends_with_us(folder / "postgres", folder), EmbeddedPostgres(folder / "postgres") as server:
    print(server.pid, flush=True)
    time.sleep(60)
"""


def test_watcher__run_is_killed__server_and_folder_are_gone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        server = psutil.Process(int(run.stdout.readline()))
        run.kill()

    assert psutil.wait_procs([server], timeout=END_SECONDS)[1] == []
    deadline = time.monotonic() + END_SECONDS
    while folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_watcher__context_is_left__touches_nothing(tmp_path: Path) -> None:
    (kept := tmp_path / "kept").mkdir()

    with ends_with_us(tmp_path / "postgres", kept):
        pass

    assert kept.is_dir()
