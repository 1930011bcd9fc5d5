"""The whole program as its users start it: a process of its own, on free ports."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx
import psutil

import api.app  # noqa: F401 (served by what is forked from here)
from api import cli
from demo import __main__ as demo
from registry.kernel.settings import ROOT
from tests.forking import forking_context

DEADLINE_S = 300.0
MAINS: Mapping[str, Callable[[], int | None]] = {"api.cli": cli.app, "demo": demo.main}
"""Where a module's beginning is not its `main`, or is what most tests start."""


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


class Program:
    """`python -m ...` in a process group of its own, forked where all of it is loaded already.

    It has the parts of `subprocess.Popen` that tests ask for.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        out: Path,
        err: Path,
        cwd: Path = ROOT,
    ) -> None:
        self._process = forking_context().Process(
            target=_become, args=(list(arguments), dict(env), out, err, cwd), daemon=True
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            while os.getpgid(self.pid) != self.pid:
                time.sleep(0.002)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _become(arguments: list[str], env: dict[str, str], out: Path, err: Path, cwd: Path) -> None:
    """Be that program from here on."""
    os.setsid()
    os.chdir(cwd)
    sys.path.insert(0, str(ROOT))  # as `python -m` has it: the folders of tests have names of ours
    os.environ.clear()
    os.environ.update(env)
    for number, path in ((1, out), (2, err)):
        sink = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(sink, number)
        os.close(sink)
    module, *sys.argv[1:] = arguments
    main = MAINS.get(module) or importlib.import_module(module).main
    sys.exit(main())


def start(arguments: Sequence[str], env: Mapping[str, str], log: Path) -> Program:
    """Start `python -m ...`; it says everything to one file."""
    log.touch()
    return Program(arguments, env, log, log)


def start_anew(
    arguments: Sequence[str], env: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start `python -m ...` in an interpreter that has to load everything."""
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=dict(env),
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )


def run(
    arguments: Sequence[str], env: Mapping[str, str], cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `python -m ...` to its end."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        program = Program(arguments, env, out, err, cwd)
        try:
            code = program.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            kill_group(program)
            raise
        said = [path.read_text("utf-8") for path in (out, err)]
    return subprocess.CompletedProcess(list(arguments), code, *said)


def run_anew(arguments: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `python -m ...` in an interpreter that has to load everything."""
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


def members_of(program: Program | subprocess.Popen[bytes]) -> list[int]:
    """List what runs in the process group of a started program, itself included."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(pid) == program.pid:
                found.append(pid)
    return found


def kill_group(program: Program | subprocess.Popen[bytes]) -> None:
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()


def wait_for_line(log: Path, text: str, program: Program) -> None:
    """Wait until the program has said `text`."""
    deadline = time.monotonic() + DEADLINE_S
    while text not in log.read_text("utf-8", errors="replace"):
        assert program.poll() is None, log.read_text("utf-8", errors="replace")[-2000:]
        assert time.monotonic() < deadline, f"{text!r} was not said in {DEADLINE_S} s"
        time.sleep(0.02)


def wait_until_ready(address: str, log: Path) -> dict[str, object]:
    """Wait until /readyz says yes and the platform stands; return what it says."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{address}/readyz", timeout=1.0, trust_env=False)
        except httpx.HTTPError:
            answer = None
        if answer is not None and answer.is_success and answer.json()["block_number"] > 0:
            return dict(answer.json())
        time.sleep(0.05)
    raise AssertionError(log.read_text("utf-8")[-2000:])
