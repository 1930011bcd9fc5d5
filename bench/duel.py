"""`make duel-reorg`: reorgs on a real anvil, and who holds what within two seconds of each.

Another process runs what `milkiyat sync` runs. Each bout takes blocks away (`anvil_rollback`) and
mines others with different transfers: longer, to the same height, shorter, deep, deeper than what
is final, and one while the sync is down. Then the holders of the database are compared with the
chain's. Each is fought twice more, with the sync killed while it follows the reorg: with the old
branch taken back and then, by the next one, before the COMMIT of both branches; and after it.
Whoever is started last has to come to the same holders. The peers fail several of these (`Ponder`
0.17.7 and `SQD` serve wrong balances until the head grows, or stop for good).

The two seconds count from the last block of the new branch. Where the sync is started after that
they count from where it begins, and what its start took is told beside them: it is forked from a
process that has loaded Python and all imports, whose own start is told once.

Final is what the node calls safe (FINALITY=safe), on anvil the block with 32 on top. What it calls
finalized has 64, which 60 blocks do not reach. Where a bout goes below, the journal must tell of it
with its reason, /readyz must answer 503 while the sync lies killed after its COMMIT, and the alarm
must be lifted by itself; of all others there must be none.

What fails, a holder that differs or a bout that takes longer, ends it with exit code 1.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass

from api.program import running_api
from bench.duel_follower import Follower, following
from bench.duel_ring import FINALITY, Reorg, Ring
from bench.figures import print_figure
from bench.gas_node import CHAIN_ID
from bench.node_and_register import node_and_register, prepare_emitter
from bench.sync_chain import EMITTER_HOLDERS, Emitter
from chain.node.client import ChainClient, hex_of
from registry.kernel import migrate
from registry.kernel.db import Database

WITHIN_SECONDS = 2.0
HISTORY = 700
STATES = 2_000
"""Blocks that the node can take away."""

COMMITTED = "sync_after_rewind"
FALLS: tuple[tuple[str, ...], ...] = ((), ("sync_mid_rewind", "sync_before_commit"), (COMMITTED,))
"""Where the sync is killed, one after the other, before one may follow the reorg to its end."""


@dataclass(frozen=True, slots=True)
class Bout:
    """One reorg.

    Parameters
    ----------
    depth, mined
        Blocks that are taken away, and that are mined instead.
    down
        Whether the sync is down meanwhile.
    is_final
        Whether it goes below what is final.
    """

    name: str
    depth: int
    mined: int
    down: bool = False
    is_final: bool = False


BOUTS = (
    Bout("3 blocks, longer", 3, 5),
    Bout("3 blocks, same height", 3, 3),
    Bout("6 blocks, shorter", 6, 2),
    Bout("60 blocks", 60, 62, is_final=True),
    Bout("600 blocks", 600, 601, is_final=True),
    Bout("12 blocks while the sync is down", 12, 12, down=True),
)


class Duel:
    """All bouts, and which of them took too long."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self.slow: list[str] = []

    def fight(self, bout: Bout, falls: tuple[str, ...]) -> None:
        """Reorganize, let the sync fall as often as it shall, and hold whoever is left to it."""
        told = self._ring.alarms()
        reorg = self._reorganize(bout) if bout.down else None
        for failpoint in falls:
            with following(failpoint) as sync:
                if reorg is None:
                    reorg = self._surprise(sync, bout)
                sync.require_killed(failpoint)
            self._require_fallen(reorg, failpoint)
        with following() as sync:
            if reorg is None:
                reorg = self._surprise(sync, bout)
            self._require_exact(sync, bout, falls, reorg)
            self._ring.await_settled()
            self._require_told(told, reorg)

    def _reorganize(self, bout: Bout) -> Reorg:
        reorg = self._ring.reorganize(bout.depth, bout.mined)
        assert (reorg.alarm is not None) == bout.is_final, f"{bout.name}: {reorg.alarm}"
        return reorg

    def _surprise(self, sync: Follower, bout: Bout) -> Reorg:
        """Reorganize what a sync follows; it stands at a block that only it can have read."""
        self._ring.mine(1)
        self._ring.await_settled()
        if not sync.is_armed:
            return self._reorganize(bout)
        # Otherwise it may come to its end before the new branch has come to its own.
        with sync.held_still():
            return self._reorganize(bout)

    def _require_fallen(self, reorg: Reorg, failpoint: str) -> None:
        """Make sure that it fell while it followed this reorg, and of what readers are told."""
        place = reorg.head if failpoint == COMMITTED else reorg.lost
        number = self._ring.cursor().number
        if self._ring.cursor().hash != place.hash:
            sys.exit(f"killed at {failpoint}, the sync left block {number}, not {place.number}")
        if failpoint == COMMITTED and reorg.alarm is not None:
            self._ring.require_ready(reorg.alarm)

    def _require_exact(
        self, sync: Follower, bout: Bout, falls: tuple[str, ...], reorg: Reorg
    ) -> None:
        name = f"{bout.name}; killed at {', '.join(falls)}" if falls else bout.name
        is_started_later = sync.began_at > reorg.stood_at
        since = "where it syncs" if is_started_later else "the last block"
        seconds = self._ring.await_exact(max(sync.began_at, reorg.stood_at))
        against = f"{name}: {WITHIN_SECONDS} s from {since} to exact"
        print_figure("duel.exact.s", seconds, "s", against=against, other=WITHIN_SECONDS)
        if is_started_later:
            _tell_start(sync, name)
        if seconds > WITHIN_SECONDS:
            self.slow.append(f"{name} ({seconds:.1f} s)")

    def _require_told(self, told: list[tuple[str, str]], reorg: Reorg) -> None:
        """Make sure that the alarm was raised and lifted where it had to be, and nowhere else."""
        wanted = [] if reorg.alarm is None else [
            ("cap_table_degraded", reorg.alarm), ("cap_table_recovered", reorg.alarm)
        ]  # fmt: skip
        found = self._ring.alarms()[len(told) :]
        if found != wanted:
            sys.exit(f"the journal tells {found} instead of {wanted}")
        self._ring.require_ready(None)


def _tell_start(sync: Follower, name: str) -> None:
    against = f"{name}: what is not counted in the {WITHIN_SECONDS} s"
    print_figure("duel.start.s", sync.start_seconds, "s", against=against, other=WITHIN_SECONDS)


def main() -> None:
    with node_and_register(states=STATES, FINALITY=FINALITY) as settings, ExitStack() as stack:
        assert settings.database_url is not None
        assert settings.rpc_url is not None
        database = Database(settings.database_url.get_secret_value())
        stack.callback(database.dispose)
        migrate.upgrade(database)
        api = stack.enter_context(running_api(settings, database))
        _duel(ChainClient(settings.rpc_url, CHAIN_ID), database, api)


def _duel(client: ChainClient, database: Database, api: str) -> None:
    emitter = Emitter.deploy(client, EMITTER_HOLDERS)
    prepare_emitter(database, client, emitter)
    ring = Ring(client, database, emitter, api)
    ring.mine(HISTORY)
    with following() as sync:
        ring.await_settled()
    _tell_start(sync, "the first time, with start of Python and imports")
    duel = Duel(ring)
    for bout in BOUTS:
        for falls in FALLS:
            duel.fight(bout, falls)
    reorgs = len(BOUTS) * len(FALLS)
    if duel.slow:
        sys.exit(
            f"{len(duel.slow)} of {reorgs} reorgs took longer than {WITHIN_SECONDS} s: "
            + "; ".join(duel.slow)
        )
    print(f"{reorgs} reorgs, 0 differing holders: {hex_of(emitter.token)}", flush=True)


if __name__ == "__main__":
    main()
