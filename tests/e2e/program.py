"""The whole program as its users start it: a process of its own, on free ports."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
DEADLINE_S = 180.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """Give the settings of one installation: its own data, its own ports."""
    return os.environ | {
        "DATA_DIR": str(data_dir),
        "PORT": str(free_port()),
        "DEVNET_PORT": str(free_port()),
        "LOG_LEVEL": "warning",
        **settings,
    }


def start(arguments: list[str], env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start `python -m ...` in a process group of its own."""
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=dict(env),
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )


def run(arguments: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `python -m ...` to its end."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def servers_of(data_dir: Path) -> list[psutil.Process]:
    """List the PostgreSQL and anvil processes that serve this data folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(data_dir) in " ".join(process.info["cmdline"] or ())
    ]


def kill_servers(data_dir: Path) -> int:
    """Kill them as a power cut would; return how many there were."""
    found = servers_of(data_dir)
    for process in found:
        process.kill()
    psutil.wait_procs(found, timeout=20)
    return len(found)


def members_of(program: subprocess.Popen[bytes]) -> list[int]:
    """List what runs in the process group of a started program, itself included."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(pid) == program.pid:
                found.append(pid)
    return found


def kill_group(program: subprocess.Popen[bytes]) -> None:
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()


def wait_for_line(log: Path, text: str, program: subprocess.Popen[bytes]) -> None:
    """Wait until the program has said `text`."""
    deadline = time.monotonic() + DEADLINE_S
    while text not in log.read_text("utf-8", errors="replace"):
        assert program.poll() is None, log.read_text("utf-8", errors="replace")[-2000:]
        assert time.monotonic() < deadline, f"{text!r} was not said in {DEADLINE_S} s"
        time.sleep(0.02)
