"""Failpoints: they kill exactly where they are asked to, and nowhere else."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from registry.kernel import failpoints
from registry.kernel.settings import ROOT

pytestmark = pytest.mark.unit

PROGRAM = """
import sys
from registry.kernel import failpoints
failpoints.arm(sys.argv[1] or None)
for number in range(3):
    failpoints.reach("other")
    failpoints.reach("here")
    print(number, flush=True)
"""


def run(setting: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, setting],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("setting", "printed"), [("here:kill", ""), ("here:kill:2", "0\n"), ("here:kill:3", "0\n1\n")]
)
def test_failpoint__armed__kills_when_it_is_reached_so_often(setting: str, printed: str) -> None:
    ended = run(setting)
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == printed


@pytest.mark.parametrize("setting", ["", "here:kill:4", "elsewhere:kill"])
def test_failpoint__not_reached__does_nothing(setting: str) -> None:
    ended = run(setting)
    assert ended.returncode == 0
    assert ended.stdout == "0\n1\n2\n"


@pytest.mark.parametrize("setting", ["here", "here:kill:", "here:kill:0", "here:exit", "a b:kill"])
def test_failpoint__malformed__is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match="not of the form"):
        failpoints.arm(setting)
