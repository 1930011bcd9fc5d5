"""An EVM chain inside the program's own folder, for a machine that has none.

The node is anvil, a child process on the loopback. It keeps its chain in memory; the keeper, a
thread, makes it behave like a network:

* **Finality.** Blocks come with transactions only, as many as these need. While the newest
  transaction is less than `confirmations` blocks deep, an empty block is mined at each heartbeat;
  an idle chain rests.
* **Durability.** A changed chain is written to disk every second or two, and once more at the
  end. The node's own ``--state-interval`` writes in place, and its ``anvil_dumpState`` mixes two
  blocks when one is mined meanwhile (accounts of the newer, transactions of the older: the lost
  transaction could never be sent again). So mining rests while the state is read, a state during
  which the head moved is thrown away, and the file is replaced, never rewritten.
* **Repair.** A dead node is started again from the last snapshot. What was mined after that is
  gone, as in a reorganisation of the chain; whoever sent it sends it again.

History is that of an ordinary node: every block, receipt and log, but contract state of the last
128 blocks only, and after a start only from the loaded head on. Keeping all would cost about half
a megabyte a block as soon as the T-REX contracts are deployed.
"""

from __future__ import annotations

import os
import threading
import time
import zlib
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import structlog

from chain.embedded.anvil import (
    HOST,
    Anvil,
    Block,
    DevnetError,
    SnapshotRejected,
    check_port,
    find_survivor,
    forget,
    launch,
)
from chain.embedded.burial import Burial
from chain.embedded.dump import with_one_genesis
from registry.kernel.service_directory import DirectoryLock, EmbeddedServiceError
from registry.kernel.settings import Finality

__all__ = ["Devnet", "DevnetError"]

ADOPT_SECONDS: Final = 5.0
LONGEST_BACKOFF_SECONDS: Final = 10.0
# A snapshot takes at most a quarter of the time, however large the chain has grown.
SNAPSHOT_REST: Final = 3
# zlib's number for "expect a gzip frame", whose checksum is the snapshot's own.
GZIP_FRAME: Final = 31
# So far behind the newest block anvil sets its tags.
TAG_DEPTHS: Final = {"safe": 32, "finalized": 64}

log = structlog.get_logger()


def depth_of(finality: Finality) -> int:
    """Return how many blocks anvil must mine on top of one until it is final."""
    return finality if isinstance(finality, int) else TAG_DEPTHS[finality]


class Devnet:
    """A durable development chain on the loopback.

    Parameters
    ----------
    directory
        Created when missing; snapshots, lock, process number and log live in it.
    port
        TCP port of the JSON-RPC endpoint.
    chain_id
        EIP-155 id; each id has a chain of its own in the directory.
    confirmations
        Blocks to be mined on top of a transaction without waiting for another transaction.
    heartbeat_seconds
        Pause between two looks at the chain, and so between two empty blocks.
    snapshot_seconds
        Least time between two snapshots.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 8545,
        chain_id: int = 31337,
        confirmations: int = 1,
        heartbeat_seconds: float = 0.5,
        snapshot_seconds: float = 1.5,
    ) -> None:
        assert port > 0
        assert confirmations >= 0
        self._directory = directory.expanduser().resolve()
        self._port = port
        self._chain_id = chain_id
        self._confirmations = confirmations
        self._heartbeat_seconds = heartbeat_seconds
        self._snapshot_seconds = snapshot_seconds
        self._lock = DirectoryLock(self._directory, "chain")
        self._node: Anvil | None = None
        self._keeper: threading.Thread | None = None
        self._burial = Burial()
        self._stopping = threading.Event()
        self._snapshot_due = 0.0
        # Block hashes: of the chain on disk, and of one with nothing left to confirm.
        self._saved_head = ""
        self._settled_head = ""
        # Set by fund(), which changes the chain without a block.
        self._is_touched = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The node's process number; another one after the keeper had to start it again."""
        return self._node.pid if self._node is not None else None

    def check_port(self) -> None:
        """Refuse a port on which something listens that is not this directory's own node.

        `start` does this first of all; a program that starts more than the chain may do it
        before everything else.

        Raises
        ------
        DevnetError
            It is taken; the message names the setting to change.
        """
        check_port(self._directory, self._port)

    def start(self) -> str:
        """Start the chain where it ended, or take over a node that outlived its program.

        Returns
        -------
        str
            URL of the JSON-RPC endpoint. Calling again is harmless.

        Raises
        ------
        DevnetError
            The port or the directory is taken, or the node does not come up.
        """
        if self._keeper is not None:
            return self.url
        self.check_port()
        try:
            self._lock.acquire()
            self._node = self._adopt() or self._launch_from_snapshot()
        except OSError as error:
            self.stop()
            raise DevnetError(
                f"The embedded chain could not be started in {self._directory}: {error}.",
                remedy="Make the directory writable, or set RPC_URL to a node of your own.",
            ) from error
        except EmbeddedServiceError as error:
            self.stop()
            if isinstance(error, DevnetError):
                raise
            raise DevnetError(error.cause, remedy=error.remedy) from error
        except BaseException:
            self.stop()
            raise
        self._stopping.clear()
        self._keeper = threading.Thread(target=self._keep, name="devnet-keeper", daemon=True)
        self._keeper.start()
        return self.url

    def stop(self) -> None:
        """Take a last snapshot, end the node, and give the directory back."""
        if not self._lock.is_held:
            return
        self._stopping.set()
        if self._keeper is not None:
            self._keeper.join()
            self._keeper = None
        if self._node is not None:
            try:
                # Mining stays off, so that nothing is mined which the snapshot does not have.
                self._node.pause_mining()
                self._save_snapshot(self._node)
            except (DevnetError, OSError) as error:
                log.critical("devnet_last_snapshot_failed", reason=str(error))
            self._node.end()
            self._node = None
            forget(self._directory)
        self._lock.release()

    def fund(self, address: str, wei: int) -> None:
        """Raise the balance of `address` to `wei`; a higher one stays.

        Raises
        ------
        DevnetError
            The chain is not running, or does not answer.
        """
        node = self._node
        if node is None:
            raise DevnetError("The embedded chain is not running.", remedy="Start it first.")
        if int(node.call("eth_getBalance", address, "latest"), 16) < wei:
            node.call("anvil_setBalance", address, hex(wei))
            self._is_touched.set()

    # The keeper

    def _keep(self) -> None:
        failures = 0
        pause = self._heartbeat_seconds
        while not self._stopping.wait(pause):
            try:
                self._tick()
            except (DevnetError, OSError) as error:
                failures += 1
                pause = min(self._heartbeat_seconds * 2**failures, LONGEST_BACKOFF_SECONDS)
                log.error(  # noqa: TRY400 (the sentence says it; the keeper goes on)
                    "devnet_keeper_failed", reason=str(error), failures=failures, retry_in_s=pause
                )
            else:
                failures, pause = 0, self._heartbeat_seconds

    def _tick(self) -> None:
        node = self._living_node()
        head = node.head()
        # The snapshot goes first: a transaction had better be on disk when it becomes final.
        if self._is_unsaved(head) and time.monotonic() >= self._snapshot_due:
            with node.mining_paused():
                self._save_snapshot(node)
        node.mine_what_waits()
        head = node.head()
        if self._burial.is_due(head.number) and self._wants_block(node, head):
            self._burial.mine(node)

    def _living_node(self) -> Anvil:
        if self._node is not None and self._node.is_alive():
            return self._node
        if self._node is not None:
            log.error("devnet_died", pid=self._node.pid)
            self._node.end()
            self._node = None
        self._node = self._adopt() or self._launch_from_snapshot()
        log.warning("devnet_revived", pid=self._node.pid, block=self._node.head().number)
        return self._node

    def _wants_block(self, node: Anvil, head: Block) -> bool:
        """Tell whether the newest transaction still waits for confirmations."""
        if head.hash == self._settled_head:
            return False
        block = head
        for _ in range(self._confirmations):
            if block.has_transactions:
                # Whoever turned automatic mining off drives the chain by hand.
                return node.is_mining()
            if block.number == 0:
                break
            block = node.block(block.number - 1)
        self._settled_head = head.hash
        return False

    # Snapshots

    def _snapshot_file(self, chain_id: int) -> Path:
        return self._directory / f"chain-{chain_id}.json.gz"

    def _is_unsaved(self, head: Block) -> bool:
        return head.hash != self._saved_head or self._is_touched.is_set()

    def _save_snapshot(self, node: Anvil) -> None:
        """Write the chain to disk; the caller has paused mining."""
        if not self._is_unsaved(node.head()):
            return
        started = time.monotonic()
        self._is_touched.clear()
        try:
            head, state = node.dump_state()
            _replace(self._snapshot_file(node.chain_id), state)
        except BaseException:
            self._is_touched.set()
            raise
        self._saved_head = head.hash
        cost = time.monotonic() - started
        self._snapshot_due = time.monotonic() + max(self._snapshot_seconds, SNAPSHOT_REST * cost)

    def _launch_from_snapshot(self) -> Anvil:
        """Start the node from the newest snapshot that it accepts, else from nothing."""
        newest = self._snapshot_file(self._chain_id)
        unusable: list[Path] = []
        for snapshot in (newest, _previous(newest)):
            if not snapshot.exists():
                continue
            try:
                node = self._launch(snapshot)
            except (zlib.error, msgspec.MsgspecError, SnapshotRejected) as error:
                log.critical("devnet_snapshot_unusable", file=str(snapshot), reason=str(error))
                unusable.append(snapshot)
                continue
            _set_aside(unusable)
            self._saved_head = ""
            # The state of no older block was loaded. With these on top, the block that readers
            # take for final is the loaded head, whose state is there.
            try:
                for _ in range(self._confirmations):
                    node.call("evm_mine")
            except DevnetError:
                node.end()
                raise
            return node
        node = launch(self._directory, self._port, self._chain_id)
        if unusable:
            _set_aside(unusable)
            log.critical("devnet_chain_lost", restarted_from="genesis", kept=str(unusable))
        self._saved_head = ""
        return node

    def _launch(self, snapshot: Path) -> Anvil:
        unpacked = self._directory / "load.json"
        try:
            unpacked.write_bytes(with_one_genesis(_gunzip(snapshot.read_bytes())))
            return launch(self._directory, self._port, self._chain_id, load=unpacked)
        finally:
            unpacked.unlink(missing_ok=True)

    def _adopt(self) -> Anvil | None:
        """Go on with the node of a killed program, or end it where it is not the one wanted."""
        survivor = find_survivor(self._directory)
        if survivor is None:
            return None
        try:
            survivor.await_answer(ADOPT_SECONDS)
            if (survivor.port, survivor.chain_id) == (self._port, self._chain_id):
                # Its program may have died in the middle of a snapshot.
                survivor.resume_mining()
                log.info("devnet_taken_over", pid=survivor.pid, block=survivor.head().number)
                return survivor
            survivor.pause_mining()
            self._save_snapshot(survivor)
        except DevnetError as error:
            log.critical("devnet_survivor_lost", pid=survivor.pid, reason=str(error))
        survivor.end()
        return None


def _previous(snapshot: Path) -> Path:
    return snapshot.with_suffix(".previous.gz")


def _replace(snapshot: Path, content: bytes) -> None:
    """Put `content` in the place of a snapshot, and that in the place of the previous one."""
    draft = snapshot.with_suffix(".new")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    # A crash between the two renames leaves the previous one, which the next start takes.
    if snapshot.exists():
        snapshot.replace(_previous(snapshot))
    draft.replace(snapshot)
    descriptor = os.open(snapshot.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _set_aside(unusable: list[Path]) -> None:
    """Move bad snapshots out of the way of the next one, which would push the good one out."""
    for snapshot in unusable:
        snapshot.replace(snapshot.with_suffix(".corrupt"))


def _gunzip(packed: bytes) -> bytes:
    """Unpack and check; a cut-off frame is an error too."""
    unpacker = zlib.decompressobj(wbits=GZIP_FRAME)
    content = unpacker.decompress(packed)
    if not unpacker.eof:
        raise zlib.error("the file is cut off")
    return content
