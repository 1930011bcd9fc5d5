"""`make duel-reorg`: reorgs on a real anvil, and who holds what within two seconds of each.

Another process follows the chain as `milkiyat` does. Each bout takes blocks away
(`anvil_rollback`) and mines others with different transfers: longer, to the same height, shorter,
deep, deeper than what the node calls final, and one while the sync is down. Then the holders of
the database are compared with the chain's; and once more after kill -9 in the middle of the next
reorg, and a restart. The peers fail several of these (`Ponder` 0.17.7 and `SQD` serve wrong
balances until the head grows, or stop for good). Any difference ends it with exit code 1.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import print_figure
from bench.gas_node import CHAIN_ID, free_port
from bench.sync_chain import EMITTER_HOLDERS, Emitter
from bench.sync_peers.ours import prepare_token
from chain.embedded.anvil import HOST, launch
from chain.node.client import Block, ChainClient, call_params, hex_of
from registry.captable import service as captable
from registry.captable.stream import stream_holders
from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres

WITHIN_SECONDS = 2.0
GIVE_UP_SECONDS = 60.0
LOOK_SECONDS = 0.02
PER_BLOCK = 5
HISTORY = 700
STATES = 2_000
"""Blocks that the node can take away."""
KILL_AFTER_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Bout:
    """One reorg.

    Parameters
    ----------
    depth, mined
        Blocks that are taken away, and that are mined instead.
    down
        Whether the sync is down meanwhile.
    """

    name: str
    depth: int
    mined: int
    down: bool = False


BOUTS = (
    Bout("3 blocks, longer", 3, 5),
    Bout("3 blocks, same height", 3, 3),
    Bout("6 blocks, shorter", 6, 2),
    Bout("60 blocks", 60, 62),
    Bout("600 blocks", 600, 601),
    Bout("12 blocks while the sync is down", 12, 12, down=True),
)


class Ring:
    """The chain, the database, and the process that follows."""

    def __init__(self, client: ChainClient, database: Database, emitter: Emitter) -> None:
        self.client = client
        self.database = database
        self.emitter = emitter
        self.seed = 0

    @contextmanager
    def follower(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the sync; it is killed at the end, as by kill -9."""
        command = [sys.executable, "-m", "bench.duel_contender", self.database.url]
        with subprocess.Popen(
            [*command, self.client.rpc_url, str(CHAIN_ID)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                yield process
            finally:
                process.kill()

    def reorganize(self, depth: int, mined: int) -> None:
        """Take blocks away, and mine others with transfers that were never there."""
        later = self.client.head().timestamp + 1
        self.client.request("anvil_rollback", depth)
        self.client.request("anvil_dropAllTransactions")
        self.client.request("evm_setNextBlockTimestamp", later)
        self.mine(mined)

    def mine(self, blocks: int) -> None:
        self.emitter.resume()
        for _ in range(blocks):
            self.seed += 1
            self.emitter.move(self.seed, PER_BLOCK)

    def await_exact(self) -> float:
        """Wait until the projection stands at the head, and return the seconds.

        Raises
        ------
        SystemExit
            A holder differs there, or it never comes.
        """
        started = time.perf_counter()
        head = self.client.head()
        while time.perf_counter() - started < GIVE_UP_SECONDS:
            with self.database.reading() as session:
                cursor = captable.sync_state(session, CHAIN_ID)
                if cursor.hash == head.hash:
                    seconds = time.perf_counter() - started
                    token = captable.get_token(session, self.emitter.token)
                    held = {row[0]: row[1] for row in stream_holders(session, token, head.number)}
                    break
            time.sleep(LOOK_SECONDS)
        else:
            sys.exit(f"the sync did not come to block {head.number} in {GIVE_UP_SECONDS} s")
        there = self._on_chain(head)
        differing = [name for name in held | there if held.get(name) != there.get(name)]
        if differing:
            sys.exit(f"{len(differing)} of {len(there)} holders differ at block {head.number}")
        return seconds

    def _on_chain(self, head: Block) -> dict[bytes, int]:
        holders = self.emitter.holders()
        answers = self.client.batch(
            [
                ("eth_call", call_params(self.emitter.token, data, None, head.hash))
                for data in map(self.emitter.balance_call, holders)
            ]
        )
        balances = {
            holder: int(answer, 16) for holder, answer in zip(holders, answers, strict=True)
        }
        return {holder: units for holder, units in balances.items() if units}


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="milkiyat-duel-", ignore_cleanup_errors=True) as name,
        EmbeddedPostgres(Path(name) / "postgres") as server,
    ):
        node = launch(Path(name), free_port(), CHAIN_ID, states=STATES)
        try:
            database = Database(server.start())
            migrate.upgrade(database)
            client = ChainClient(f"http://{HOST}:{node.port}", CHAIN_ID)
            _fight(client, database)
            database.dispose()
        finally:
            node.end()


def _fight(client: ChainClient, database: Database) -> None:
    emitter = Emitter.deploy(client, EMITTER_HOLDERS)
    ring = Ring(client, database, emitter)
    prepare_token(database, client, emitter.token, emitter.deployed_at)
    ring.mine(HISTORY)
    for bout in BOUTS:
        with ring.follower():
            ring.await_exact()
            if not bout.down:
                ring.reorganize(bout.depth, bout.mined)
                _tell(bout.name, ring.await_exact())
        if bout.down:
            ring.reorganize(bout.depth, bout.mined)
            with ring.follower():
                _tell(bout.name, ring.await_exact())
        # Once more, and killed while it follows; then from what the database holds.
        with ring.follower():
            ring.reorganize(bout.depth, bout.mined)
            time.sleep(KILL_AFTER_SECONDS)
        with ring.follower():
            _tell(f"{bout.name}; kill -9, restart", ring.await_exact())
    print(f"{2 * len(BOUTS)} reorgs, 0 differing holders: {hex_of(emitter.token)}", flush=True)


def _tell(name: str, seconds: float) -> None:
    against = f"{name}: {WITHIN_SECONDS} s to exact"
    print_figure("duel.exact.s", seconds, "s", against=against, other=WITHIN_SECONDS)
    if seconds > WITHIN_SECONDS:
        print(f"duel-reorg: {name} took {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
