"""The service in one process, and in one for each part."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.parts_cli import PARTS
from tests.e2e.program import (
    environment,
    kill_group,
    kill_servers,
    members_of,
    servers_of,
    start_anew,
    wait_until_ready,
)

pytestmark = pytest.mark.e2e

STOP_SECONDS = 60


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    kill_servers(folder)


@pytest.mark.parametrize("arguments", [[], ["--processes"]])
def test_serve__until_sigterm__is_ready_and_leaves_nothing(
    data_dir: Path, tmp_path: Path, arguments: list[str]
) -> None:
    env, log = environment(data_dir), tmp_path / "log"
    program = start_anew(["api.cli", "serve", *arguments], env, log)
    try:
        readiness = wait_until_ready(f"http://127.0.0.1:{env['PORT']}", log)
        assert len(members_of(program)) == 1 + (len(PARTS) if arguments else 0)
        program.send_signal(signal.SIGTERM)
        program.wait(timeout=STOP_SECONDS)
    finally:
        if program.poll() is None:
            kill_group(program)

    assert readiness["ready"] is True
    assert members_of(program) == []
    assert program.returncode == 0, log.read_text("utf-8")[-2000:]
    assert servers_of(data_dir) == []


def test_serve__second_program_on_the_same_data__is_refused_and_the_first_goes_on(
    data_dir: Path, tmp_path: Path
) -> None:
    env, log, second_log = environment(data_dir), tmp_path / "log", tmp_path / "second"
    first = start_anew(["api.cli", "serve"], env, log)
    try:
        address = f"http://127.0.0.1:{env['PORT']}"
        wait_until_ready(address, log)
        others = environment(data_dir)
        second = start_anew(["api.cli", "serve"], others, second_log)

        assert second.wait(timeout=60) == 1
        assert "in use by another program" in " ".join(second_log.read_text("utf-8").split())
        assert httpx.get(f"{address}/readyz", trust_env=False).is_success
    finally:
        first.terminate()
        first.wait(timeout=STOP_SECONDS)
