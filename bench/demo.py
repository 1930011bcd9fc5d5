"""`make bench-demo`: how long the warm demo takes, what it keeps resident, when the API is ready.

Each figure is held against its target, since no other system plays this story: 90 s, 1,536 MiB
and 5 s (issue 2). The demo plays from an empty data folder with everything installed.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from bench.figures import print_figure

WALL_TARGET_S = 90.0
RSS_TARGET_MIB = 1536.0
READY_TARGET_S = 5.0
DEADLINE_S = 300.0
MIB = 1024 * 1024


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="milkiyat-bench-") as folder:
        environment = _environment(Path(folder))
        wall_s, rss_mib = _play(environment)
        ready_s = _time_to_ready(environment)
    print_figure("demo.warm.wall_s", wall_s, "s", against="target", other=WALL_TARGET_S)
    print_figure("demo.warm.rss_mib", rss_mib, "MiB", against="target", other=RSS_TARGET_MIB)
    print_figure("api.ready_s", ready_s, "s", against="target", other=READY_TARGET_S)


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        "DATA_DIR": str(folder / "data"),
        "PORT": str(_free_port()),
        "DEVNET_PORT": str(_free_port()),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _play(environment: dict[str, str]) -> tuple[float, float]:
    """Play the demo once; return its wall time and the most memory that it held."""
    started, peak = time.monotonic(), 0.0
    program = subprocess.Popen(
        [sys.executable, "-m", "demo", "--once"], env=environment, stdout=subprocess.DEVNULL
    )
    while program.poll() is None:
        peak = max(peak, _resident_mib(program.pid, environment["DATA_DIR"]))
        if time.monotonic() - started > DEADLINE_S:
            program.kill()
            raise SystemExit(f"bench-demo: the demo took more than {DEADLINE_S:.0f} s")
        time.sleep(0.1)
    if program.returncode != 0:
        raise SystemExit(f"bench-demo: the demo ended with {program.returncode}")
    return time.monotonic() - started, peak


def _resident_mib(pid: int, data_dir: str) -> float:
    """Sum the memory of the program, its PostgreSQL and its node.

    The servers are no children of the program, so that they survive its death; they are known
    by the data folder on their command lines. Shared pages count once (PSS).
    """
    total = 0
    for process in psutil.process_iter(["pid", "ppid", "cmdline", "name"]):
        line = " ".join(process.info["cmdline"] or ())
        mine = process.info["pid"] == pid or data_dir in line or _is_backend(process, data_dir)
        if mine:
            try:
                total += process.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
    return total / MIB


def _is_backend(process: psutil.Process, data_dir: str) -> bool:
    """Tell whether this is a backend of our PostgreSQL: their titles do not name the folder."""
    try:
        parent = process.parent()
        return parent is not None and data_dir in " ".join(parent.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _time_to_ready(environment: dict[str, str]) -> float:
    """Start the program again, and return when /readyz first says yes."""
    started = time.monotonic()
    program = subprocess.Popen([sys.executable, "-m", "api.cli", "serve"], env=environment)
    # One client for all tries: making one costs as much as the start of a small program.
    address = f"http://127.0.0.1:{environment['PORT']}"
    client = httpx.Client(base_url=address, timeout=1.0, trust_env=False, verify=False)  # noqa: S501 - loopback
    try:
        while time.monotonic() - started < DEADLINE_S:
            if _answers(client):
                return time.monotonic() - started
            time.sleep(0.02)
        raise SystemExit("bench-demo: the API did not become ready")
    finally:
        program.terminate()
        program.wait()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    main()
