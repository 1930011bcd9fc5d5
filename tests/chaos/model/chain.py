"""A chain that exists in memory: blocks that follow each other, and branches that lost."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from eth_utils.crypto import keccak

from tests.chaos.model import logs
from tests.chaos.model.acts import Act, Outcome
from tests.chaos.model.logs import RawLog
from tests.chaos.model.performing import perform
from tests.chaos.model.state import State, next_of

GENESIS_TIME = 1_790_000_000
PASSED = (*[0, 0, 1, 1, 2, 12] * 4, -2)
"""Seconds from one block to the next."""


@dataclass(frozen=True, slots=True)
class Mined:
    """One transaction in its block."""

    act: Act
    outcome: Outcome
    first_log: int


@dataclass(frozen=True, slots=True)
class Block:
    """One block, and what the contracts hold after it."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    bloom: bytes
    mined: tuple[Mined, ...]
    state: State

    def placed_logs(self) -> list[tuple[int, Mined, RawLog]]:
        """List the logs with their index in the block."""
        return [
            (index, mined, log)
            for mined in self.mined
            for index, log in enumerate(mined.outcome.logs, mined.first_log)
        ]


GENESIS = Block(
    number=0,
    hash=keccak(text="genesis"),
    parent_hash=bytes(32),
    timestamp=GENESIS_TIME,
    bloom=logs.bloom([]),
    mined=(),
    state={},
)
"""The first block of every chain here."""


class Chain:
    """The model; one lock guards it, since a node serves it from several threads.

    Parameters
    ----------
    seed
        Decides times and hashes.
    """

    def __init__(self, seed: int) -> None:
        self.lock = threading.RLock()
        self._dice = random.Random(f"chain {seed}")
        self._salt = 0
        self.canonical = [GENESIS]
        self.known = {GENESIS.hash: GENESIS}
        self.transactions: dict[bytes, Mined] = {}

    @property
    def head(self) -> Block:
        return self.canonical[-1]

    def mine(self, acts: Sequence[Act]) -> Block:
        """Put one block on top."""
        with self.lock:
            # Equal times happen on chains that mine several blocks a second; earlier ones where
            # nobody but the miner's own clock decides.
            passed = self._dice.choice(PASSED)
            block = self._block(self.head, acts, self.head.timestamp + passed)
            self.canonical.append(block)
            self.known[block.hash] = block
            self.transactions |= {each.act.hash: each for each in block.mined}
            return block

    def take_away(self, depth: int) -> list[Block]:
        """Take the newest blocks away, but never the first; return them, oldest first."""
        with self.lock:
            keep = max(len(self.canonical) - depth, 1)
            gone = self.canonical[keep:]
            del self.canonical[keep:]
            return gone

    def restart(self) -> list[Block]:
        """Begin with another first block, as a test chain that was set up anew; return all."""
        with self.lock:
            first = replace(GENESIS, hash=keccak(self._dice.randbytes(32)))
            gone, self.canonical = self.canonical, [first]
            self.known[first.hash] = first
            return gone

    def put_back(self, blocks: Sequence[Block]) -> None:
        """Let a branch win that lost before; it follows the head."""
        with self.lock:
            assert not blocks or blocks[0].parent_hash == self.head.hash
            self.canonical += blocks

    def reorganize(self, depth: int, contents: Sequence[Sequence[Act]]) -> list[Block]:
        """Replace the newest blocks by others, unseen in between; return those that lost."""
        with self.lock:
            gone = self.take_away(depth)
            for acts in contents:
                self.mine(acts)
            return gone

    def _block(self, parent: Block, acts: Sequence[Act], timestamp: int) -> Block:
        state = next_of(parent.state) if acts else parent.state
        mined = []
        place = 0
        for act in acts:
            outcome = perform(state, act)
            mined.append(Mined(act, outcome, place))
            place += len(outcome.logs)
        self._salt += 1
        number, before = parent.number + 1, parent.hash
        every = [log for each in mined for log in each.outcome.logs]
        return Block(
            number=number,
            hash=keccak(before + f"{number} {self._salt} {self._dice.random()}".encode()),
            parent_hash=before,
            timestamp=timestamp,
            bloom=logs.bloom(every),
            mined=tuple(mined),
            state=state,
        )
