"""What a contract had said before a token named it for its suite, read turn by turn.

Anybody may name any contract, also one with millions of logs or that no node tells of. So it is
read only beside the chain, for the one token that names it (`chain.sync.catch_up`): from the block
in which its code appeared, in pieces that the node gives, and what was read is kept when a turn is
over or a node fails.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from chain.errors import ChainError, RateLimited, RpcRefused, RpcUnavailable
from chain.node.client import ChainClient, hex_of
from chain.sync.adoption import first_block_of
from chain.sync.decode import UndecodableLog
from chain.sync.gathering import Gathering
from chain.sync.pace import Pace
from chain.sync.watched import Part, Watched
from registry.captable.events import ProjectedEvent

TURN_SECONDS = 2.0
"""So long at most a contract is read on before others have their turn."""
MOST_LOGS = 250_000
"""Of the contracts that a token names in a range: their events are kept until it is applied."""


class StillReading(ChainError):
    """A turn is over before the past of a contract is read: the next one goes on there."""


@dataclass(slots=True)
class _Past:
    """What is read of a contract so far."""

    following: int
    pace: Pace = field(default_factory=Pace)
    events: list[ProjectedEvent] = field(default_factory=list)
    logs: int = 0


_Key = tuple[Part, bytes, bytes]
"""The contract as a part of a token's suite, its address, and the hash of the last block."""


class Pasts:
    """Reads the pasts of contracts, and keeps them until they are forgotten.

    Parameters
    ----------
    turn_seconds
        After how long it makes a pause.
    """

    def __init__(self, client: ChainClient, *, turn_seconds: float = TURN_SECONDS) -> None:
        self._client = client
        self._turn_seconds = turn_seconds
        self._pasts: dict[_Key, _Past] = {}

    def told(
        self, address: bytes, part: Part, last: int, digest: bytes
    ) -> Sequence[ProjectedEvent]:
        """Give what a contract said up to a block.

        Parameters
        ----------
        digest
            The hash of the block `last`: of another branch all of it is read anew.

        Raises
        ------
        StillReading
            There is more than a turn has time for.
        RpcUnavailable
            The node does not give the logs, as of now.
        UndecodableLog
            The contract said what its ABI does not have, or too much.
        """
        deadline = time.monotonic() + self._turn_seconds
        key = (part, address, digest)
        if key not in self._pasts:
            # A range has one block in which a suite changes; another one's is of a lost branch.
            self._pasts = {
                other: past
                for other, past in self._pasts.items()
                if other[0].token != part.token or other[2] == digest
            }
            self._pasts[key] = _Past(self._first(address))
        past = self._pasts[key]
        watched = Watched(None, None, {address: (part,)})
        while past.following <= last:
            self._read_on(past, watched, last)
            if self._held(part.token) > MOST_LOGS:
                raise UndecodableLog(f"{hex_of(address)} has more than {MOST_LOGS} logs")
            if past.following <= last and time.monotonic() > deadline:
                raise StillReading(f"{hex_of(address)} is read up to block {past.following - 1}")
        return past.events

    def forget(self, token: bytes) -> None:
        """Forget what was read for a token."""
        self._pasts = {key: past for key, past in self._pasts.items() if key[0].token != token}

    def forget_all(self) -> None:
        self._pasts = {}

    def _held(self, token: bytes) -> int:
        return sum(past.logs for (part, *_), past in self._pasts.items() if part.token == token)

    def _first(self, address: bytes) -> int:
        """Return the first block that may have logs of a contract; it may be gone since."""
        return first_block_of(self._client, address) if self._client.code(address) else 0

    def _read_on(self, past: _Past, watched: Watched, last: int) -> None:
        """Read the next piece, or ask for a narrower one the next time."""
        end = min(past.following + past.pace.blocks - 1, last)
        blocks = end - past.following + 1
        piece = Gathering(self._client, watched, is_past=True)
        try:
            piece.read(past.following, end)
        except RpcRefused as refused:
            past.pace.refused(blocks)
            if blocks == 1:
                raise RpcUnavailable(
                    f"what a contract had said is not told: {refused}"
                ) from refused
            return
        except RateLimited:
            raise
        except RpcUnavailable:
            past.pace.refused(blocks)
            raise
        past.pace.answered(blocks, piece.logs)
        past.events += piece.events
        past.logs += piece.logs
        past.following = end + 1
