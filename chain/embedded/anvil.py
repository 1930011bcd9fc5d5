"""The process behind the embedded chain: one anvil, started, found again, asked and ended."""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx

from registry.kernel.service_directory import (
    LOG_LIMIT_BYTES,
    EmbeddedServiceError,
    command_line,
    log_tail,
)

HOST: Final = "127.0.0.1"
PACKAGES: Final = Path(__file__).resolve().parents[2] / "contracts" / "node_modules" / "@foundry-rs"
ARCHITECTURES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
# Pinned, so that a new anvil does not change what a block means; it runs code for Cancun.
HARDFORK: Final = "prague"
STATES_KEPT: Final = 128
DUMP_ATTEMPTS: Final = 5
SETTLE_SECONDS: Final = 0.01
SETTLE_LOOKS: Final = 100
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0
CLOSING_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.01
UNNOTICED_SECONDS: Final = 0.05
"""What has waited so long without a block is not about to be mined."""
RPC_SECONDS: Final = 30.0


class DevnetError(EmbeddedServiceError):
    """The embedded chain cannot run here, or does not answer."""


class SnapshotRejected(Exception):
    """The node would not start from a snapshot."""


class Block:
    """What the keeper of the chain wants to know of a block."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.number = int(answer["number"], 16)
        self.hash = str(answer["hash"])
        self.has_transactions = bool(answer["transactions"])


class Anvil:
    """A running node.

    Parameters
    ----------
    pid, port, chain_id
        As on its command line.
    child
        Its process where this program started it; None where it was found running.
    """

    def __init__(
        self, pid: int, port: int, chain_id: int, child: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.pid = pid
        self.port = port
        self.chain_id = chain_id
        self._child = child
        self._ids = itertools.count(1)
        # A proxy of the environment is not for the loopback.
        self._http = httpx.Client(
            base_url=f"http://{HOST}:{port}", timeout=RPC_SECONDS, trust_env=False
        )

    def call(self, method: str, *parameters: object, timeout: float = RPC_SECONDS) -> Any:
        """One JSON-RPC call.

        Raises
        ------
        DevnetError
            The node does not answer, or answers with an error.
        """
        request = {
            "jsonrpc": "2.0",
            "id": next(self._ids),
            "method": method,
            "params": list(parameters),
        }
        try:
            answer = self._http.post("/", json=request, timeout=timeout).json()
        except (httpx.HTTPError, RuntimeError, ValueError) as error:
            # RuntimeError: end() closed the client while another thread called.
            raise DevnetError(
                f"The embedded chain on port {self.port} does not answer {method}: {error!r}.",
                remedy="A dead one is started again within seconds; then repeat the call.",
            ) from error
        if not isinstance(answer, dict) or "result" not in answer:
            raise DevnetError(
                f"The embedded chain on port {self.port} refused {method}: {answer}.",
                remedy="If the port belongs to another program, change DEVNET_PORT.",
            )
        return answer["result"]

    def head(self) -> Block:
        return Block(self.call("eth_getBlockByNumber", "latest", False))

    def block(self, number: int) -> Block:
        return Block(self.call("eth_getBlockByNumber", hex(number), False))

    def is_alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return _flags(self.port, self.chain_id) in command_line(self.pid)

    def await_answer(self, seconds: float) -> None:
        """Wait until the node serves its chain.

        Raises
        ------
        DevnetError
            It ended, or the time is over.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.call("eth_chainId", timeout=seconds)
            except DevnetError:
                if not self.is_alive() or time.monotonic() > deadline:
                    raise
            else:
                return
            time.sleep(POLL_SECONDS)

    def is_mining(self) -> bool:
        return bool(self.call("anvil_getAutomine"))

    def pause_mining(self) -> None:
        self.call("evm_setAutomine", False)

    def resume_mining(self) -> None:
        self.call("evm_setAutomine", True)

    @contextlib.contextmanager
    def mining_paused(self) -> Iterator[None]:
        """Keep transactions in the pool meanwhile; they are mined right after."""
        if not self.is_mining():
            yield  # somebody drives the chain by hand; leave that as it is
            return
        self.pause_mining()
        try:
            yield
        finally:
            self.resume_mining()

    def mine_what_waits(self) -> None:
        """Mine what did not fit into the last block.

        When transactions arrive, the node mines one block; what is more than it holds then waits
        in the pool until another one arrives.
        """
        waiting = self._pending()
        while waiting and self.is_mining():
            head = self.head()
            time.sleep(UNNOTICED_SECONDS)
            is_left = self.head().hash == head.hash and self._pending()
            # Asked last: somebody may have begun to drive the chain by hand.
            if is_left and self.is_mining():
                self.call("evm_mine")
            before, waiting = waiting, self._pending()
            if waiting >= before:
                return  # more has arrived, or none of it can be paid for now

    def _pending(self) -> int:
        return int(self.call("txpool_status")["pending"], 16)

    def dump_state(self) -> tuple[Block, bytes]:
        """The whole chain as gzipped JSON, and its head.

        Raises
        ------
        DevnetError
            The head moved at every attempt: what was read mixes two blocks.
        """
        for _ in range(DUMP_ATTEMPTS):
            before = self._settled_head()
            state = bytes.fromhex(self.call("anvil_dumpState").removeprefix("0x"))
            if self.head().hash == before.hash:
                return before, state
        raise DevnetError(
            "The embedded chain did not rest long enough for a snapshot.",
            remedy="The next attempt follows by itself.",
        )

    def _settled_head(self) -> Block:
        """The head, once the blocks that were being mined at the pause are there."""
        block = self.head()
        for _ in range(SETTLE_LOOKS):
            time.sleep(SETTLE_SECONDS)
            later = self.head()
            if later.hash == block.hash:
                break
            block = later
        return block

    def end(self) -> None:
        """End the process and wait until it is gone."""
        for request in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + STOP_SECONDS
            if self.is_alive():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, request)
            while self.is_alive() and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
        self._http.close()


def launch(
    directory: Path,
    port: int,
    chain_id: int,
    *,
    load: Path | None = None,
    states: int = STATES_KEPT,
) -> Anvil:
    """Start a node whose process number and log are kept in `directory`.

    Parameters
    ----------
    load
        Chain to start from, as JSON. The port opens only when it is loaded, so that no reader
        ever sees an empty chain in its place.

    Raises
    ------
    DevnetError
        The port is taken, or the node does not come up.
    SnapshotRejected
        The node came as far as `load`, and ended.
    """
    check_port(directory, port)
    log = directory / "anvil.log"
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    arguments = [
        str(_find_binary()),
        # find_survivor reads these three.
        *_flags(port, chain_id).split(),
        *("--cache-path", str(directory / "cache")),
        *("--host", HOST, "--hardfork", HARDFORK, "--prune-history", str(states)),
        # No account whose key the whole world knows, and no call from a web page in a browser.
        *("--accounts", "0", "--no-cors", "--quiet"),
        *(("--load-state", str(load)) if load is not None else ()),
    ]
    # The shell notes its number, then becomes anvil: a program killed at this very moment leaves
    # no node behind that the next one would not know for its own.
    note = ["/bin/sh", "-c", 'echo $$ >"$0" && exec "$@"', str(_pid_file(directory))]
    with log.open("ab") as sink:
        offset = sink.seek(0, os.SEEK_END)
        child = subprocess.Popen(  # noqa: S603 (our own binary and paths)
            [*note, *arguments],
            cwd=directory,
            env={"PATH": os.defpath, "HOME": str(directory)},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,  # a Ctrl-C on our terminal is not for the node
        )
    node = Anvil(child.pid, port, chain_id, child)
    try:
        node.await_answer(START_SECONDS)
    except DevnetError as error:
        code = child.poll()
        node.end()
        reason = log_tail(log, offset) or f"exit code {code}"
        if "Address already in use" in reason:
            raise _port_taken(port, reason) from error
        # Ended by itself, not by a signal: it did not like what it read.
        if load is not None and code is not None and code > 0:
            raise SnapshotRejected(reason) from error
        raise DevnetError(
            f"anvil did not come up on port {port}: {reason}.",
            remedy=f"Look at {log}, or set RPC_URL to a node of your own.",
        ) from error
    except BaseException:
        node.end()
        raise
    return node


def find_survivor(directory: Path) -> Anvil | None:
    """The node that a killed program left running for `directory`."""
    try:
        recorded = _pid_file(directory).read_text().strip()
    except OSError:
        return None
    if not recorded.isdecimal():
        return None
    # The number may be another process's by now: the command line must name the directory.
    arguments = command_line(int(recorded)) + " "
    found = re.search(r" --port (\d+) --chain-id (\d+) ", arguments)
    if found is None or f" --cache-path {directory / 'cache'} " not in arguments:
        return None
    return Anvil(int(recorded), int(found[1]), int(found[2]))


def forget(directory: Path) -> None:
    """Remove the note of an ended node."""
    _pid_file(directory).unlink(missing_ok=True)


def check_port(directory: Path, port: int) -> None:
    """Refuse a port that something other than our own surviving node listens on.

    Raises
    ------
    DevnetError
        It is taken; the message names the setting to change.
    """
    survivor = find_survivor(directory)
    if survivor is not None and survivor.port == port:
        return
    # A node that was just killed has lost its command line before it gives its port back.
    patience = CLOSING_SECONDS if _pid_file(directory).exists() else 0
    deadline = time.monotonic() + patience
    while (error := _refusal_of(port)) is not None:
        if time.monotonic() >= deadline:
            raise _port_taken(port, str(error)) from error
        time.sleep(POLL_SECONDS)


def _refusal_of(port: int) -> OSError | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error
    return None


def _port_taken(port: int, reason: str) -> DevnetError:
    return DevnetError(
        f"Port {port}, wanted for the embedded chain, is not free ({reason}).",
        remedy="End what listens there, or set DEVNET_PORT to a free port.",
    )


def _flags(port: int, chain_id: int) -> str:
    return f"--port {port} --chain-id {chain_id} "


def _pid_file(directory: Path) -> Path:
    return directory / "anvil.pid"


def _find_binary() -> Path:
    system = platform.system().lower()
    machine = ARCHITECTURES.get(platform.machine().lower(), platform.machine())
    binary = PACKAGES / f"anvil-{system}-{machine}" / "bin" / "anvil"
    if not binary.is_file():
        raise DevnetError(
            f"anvil for {system} on {machine} is not installed.",
            remedy="Run `make setup`, or set RPC_URL to a node of your own.",
        )
    return binary
