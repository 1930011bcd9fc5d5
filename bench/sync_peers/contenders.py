"""Who runs in `make bench-sync`: each a program of its own, with a database of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.sync_peers.run import Task, arguments

ROOT = Path(__file__).resolve().parents[2]
SQD = Path(__file__).parent / "sqd"
SQD_HOME = ROOT / ".tools" / "bench-sqd"
INSTALL_SECONDS = 600
RUN_SECONDS = 900
SQD_TABLES = """
CREATE TABLE account (id text PRIMARY KEY, balance numeric NOT NULL);
CREATE TABLE transfer (id text PRIMARY KEY, block int NOT NULL, timestamp timestamptz NOT NULL,
  tx_hash text NOT NULL, source text NOT NULL, target text NOT NULL, units numeric NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a contender says at its end."""

    seconds: float
    rss_mib: float


def run_python(module: str, task: Task) -> Ended:
    """Run one of our own contenders."""
    command = [sys.executable, "-m", f"bench.sync_peers.{module}", arguments(task)]
    return _run(command, ROOT, {})


def run_sqd(node: str, task: Task) -> Ended:
    """Run SQD's processor on tables that it is given."""
    with psycopg.connect(task.database) as connection:
        connection.execute(SQD_TABLES)
    parts = conninfo_to_dict(task.database)
    environment = {
        "DB_HOST": str(parts["host"]),
        "DB_PORT": str(parts["port"]),
        "DB_NAME": str(parts["dbname"]),
        "DB_USER": str(parts["user"]),
        "SQD_LOG": "warn",
    }
    return _run([node, "main.js", arguments(task)], SQD_HOME, environment)


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> Ended:
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=RUN_SECONDS,
    )
    return Ended(**json.loads(done.stdout.strip().splitlines()[-1]))


def install_sqd() -> str | None:
    """Install SQD into an untracked folder; None, and why on the way, where that cannot be.

    Returns
    -------
    str | None
        The Node that runs it.
    """
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        _say("sqd is left out: npm is not installed")
        return None
    SQD_HOME.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "main.js", "lib/model.js"):
        (SQD_HOME / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(SQD / name, SQD_HOME / name)
    stamp = SQD_HOME / "installed.json"
    wanted = (SQD / "package.json").read_bytes()
    if stamp.is_file() and stamp.read_bytes() == wanted:
        return node
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    try:
        subprocess.run(command, cwd=SQD_HOME, check=True, timeout=INSTALL_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        _say(f"sqd is left out: {error}")
        return None
    stamp.write_bytes(wanted)
    return node


def _say(text: str) -> None:
    print(f"bench-sync: {text}", flush=True)
