"""Run the brownie tests of our Solidity on an anvil of their own.

Each run gets a fresh folder below ``.tools``, removed at the end: brownie wants the sources one
folder below its project, keeps its settings in ``~/.brownie``, and writes reports beside the tests.
So a run leaves nothing in the home folder or in git, and two runs do not meet. Nothing is
downloaded: compiler and node are those of ``contracts/node_modules``.

Arguments are passed on, e.g. ``scripts/test_contracts.py -k revoke --gas``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TOOLS: Final = ROOT / ".tools"
CONTRACTS: Final = ROOT / "contracts"
BROWNIE: Final = TOOLS / "brownie" / "bin" / "brownie"
NODE_MODULES: Final = CONTRACTS / "node_modules"
SOLC_VERSION: Final = "0.8.30"
LOOPBACK: Final = "127.0.0.1"

# Without a file of its own, pytest would find the application's settings in the folders above.
# The second silenced warning is about brownie's call to itself, which it no longer recognises.
PYTEST_SETTINGS: Final = """\
[pytest]
addopts = -p no:cacheprovider
filterwarnings =
    ignore:.*does not contain enough topics:UserWarning
    ignore:rpc\\..* should not be called directly:FutureWarning
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])


def stage_project(project: Path) -> None:
    """Lay the sources out as brownie expects them, next to the artifacts to compare them with."""
    ours = shutil.ignore_patterns("node_modules", "tests", "build")
    shutil.copytree(CONTRACTS, project / "contracts", ignore=ours)
    shutil.copytree(CONTRACTS / "tests", project / "tests")
    shutil.copy(CONTRACTS / "brownie-config.yaml", project)
    (project / "node_modules").symlink_to(NODE_MODULES)
    (project / "artifacts").symlink_to(ROOT / "chain" / "artifacts")
    (project / "pytest.ini").write_text(PYTEST_SETTINGS)


def stage_home(home: Path) -> None:
    """Write the one network that brownie starts, on a port that nobody else listens on."""
    settings = {
        "host": LOOPBACK,
        "port": free_port(),
        "accounts": 10,
        "base_fee": 0,  # brownie sends with gas price 0
        "gas_limit": 30_000_000,
        "evm_version": "cancun",  # the one compiled for, so that nothing newer is relied on
    }
    network = {
        "name": "Anvil",
        "id": "development",
        "cmd": "anvil",
        "host": f"http://{LOOPBACK}",
        "cmd_settings": settings,
    }
    (home / ".brownie").mkdir(parents=True)
    # JSON is YAML, and needs no library.
    networks = json.dumps({"live": [], "development": [network]})
    (home / ".brownie" / "network-config.yaml").write_text(networks)


def stage_compiler(folder: Path) -> None:
    """Put the pinned compiler under the name by which py-solc-x looks for that version.

    Brownie asks for its version again for each contract, and to load the compiler takes the better
    part of a second: the compiler is asked once.
    """
    folder.mkdir()
    compiler = str(CONTRACTS / "solc")
    version = folder / "version"
    version.write_bytes(
        subprocess.run([compiler, "--version"], check=True, stdout=subprocess.PIPE).stdout
    )
    launcher = folder / f"solc-v{SOLC_VERSION}"
    launcher.write_text(
        "#!/bin/sh\n"
        f'[ "$*" = --version ] && exec cat {shlex.quote(str(version))}\n'
        f'exec {shlex.quote(compiler)} "$@"\n'
    )
    launcher.chmod(0o755)


def environment(home: Path, compilers: Path, anvil: Path) -> dict[str, str]:
    path = os.pathsep.join([str(anvil.parent), str(TOOLS / "bin"), os.environ["PATH"]])
    return os.environ | {
        "HOME": str(home),
        "PATH": path,
        "SOLCX_BINARY_PATH": str(compilers),
        # A proxy for the outside world must not be asked for the node next door.
        "NO_PROXY": LOOPBACK,
        "no_proxy": LOOPBACK,
    }


def run_in_own_group(command: list[str], cwd: Path, env: dict[str, str]) -> int:
    """Run to the end, and let nothing that the command started outlive it."""
    process = subprocess.Popen(command, cwd=cwd, env=env, start_new_session=True)
    try:
        return process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main() -> int:
    anvil = next(NODE_MODULES.glob("@foundry-rs/anvil-*/bin/anvil"), None)
    if anvil is None or not BROWNIE.exists():
        print("The contract test tools are missing. Remedy: make setup-brownie", file=sys.stderr)
        return 2
    # As an exception, so that the node is stopped and the folder removed.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="brownie-run-", dir=TOOLS) as folder:
        run = Path(folder)
        project, home, compilers = run / "project", run / "home", run / "solc"
        stage_project(project)
        stage_home(home)
        stage_compiler(compilers)
        return run_in_own_group(
            [str(BROWNIE), "test", "--network", "development", *sys.argv[1:]],
            cwd=project,
            env=environment(home, compilers, anvil),
        )


if __name__ == "__main__":
    sys.exit(main())
