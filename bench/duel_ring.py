"""Where `make duel-reorg` is fought: the chain, the database, and what the API says of both."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from sqlmodel import col, select

from bench.gas_node import CHAIN_ID
from bench.sync_chain import Emitter
from chain.node.client import Block, ChainClient, call_params
from registry.captable import service as captable
from registry.captable.degraded import SUBJECT
from registry.captable.models import SyncCursor
from registry.captable.stream import stream_holders
from registry.journal.models import JournalEntry
from registry.kernel.db import Database

FINALITY = "safe"
GIVE_UP_SECONDS = 60.0
LOOK_SECONDS = 0.02
PER_BLOCK = 5

Alarm = tuple[str, str]
"""An act of the journal, and the reason that it gives."""


@dataclass(frozen=True, slots=True)
class Reorg:
    """What has become of the chain.

    Parameters
    ----------
    lost, head
        The newest block of before, and of now.
    stood_at
        When the last block of the new branch was there, by `time.perf_counter`.
    alarm
        What has to be said of it; None where nothing that was final is lost.
    """

    lost: Block
    head: Block
    stood_at: float
    alarm: str | None


class Ring:
    """The chain, the database, and the API that reads it.

    Parameters
    ----------
    api
        Its address.
    """

    def __init__(self, client: ChainClient, database: Database, emitter: Emitter, api: str) -> None:
        self._client = client
        self._database = database
        self._emitter = emitter
        self._api = api
        self._seed = 0

    # -- the chain ---------------------------------------------------------------------------

    def mine(self, blocks: int) -> None:
        """Mine transfers that were never there."""
        self._emitter.resume()
        for _ in range(blocks):
            self._seed += 1
            self._emitter.move(self._seed, PER_BLOCK)

    def reorganize(self, depth: int, mined: int) -> Reorg:
        """Take blocks away, and mine others."""
        lost, final = self._client.head(), self.cursor().finalized_number
        self._client.request("anvil_rollback", depth)
        self._client.request("anvil_dropAllTransactions")
        self._client.request("evm_setNextBlockTimestamp", lost.timestamp + 1)
        self.mine(mined)
        stood_at = time.perf_counter()
        ancestor = lost.number - depth
        alarm = f"blocks above {ancestor} left the chain, and {final} was final"
        is_final = final is not None and ancestor < final
        return Reorg(lost, self._client.head(), stood_at, alarm if is_final else None)

    # -- what is projected -------------------------------------------------------------------

    def cursor(self) -> SyncCursor:
        with self._database.reading() as session:
            return captable.sync_state(session, CHAIN_ID)

    def await_exact(self, since: float) -> float:
        """Wait until the projection stands at the head, and return the seconds since a moment.

        Raises
        ------
        SystemExit
            A holder differs there, or it never comes.
        """
        head = self._client.head()
        _await(lambda: self.cursor().hash == head.hash, f"come to block {head.number}")
        seconds = max(time.perf_counter() - since, 0.0)
        with self._database.reading() as session:
            token = captable.get_token(session, self._emitter.token)
            held = {row[0]: row[1] for row in stream_holders(session, token, head.number)}
        there = self._on_chain(head)
        differing = [name for name in held | there if held.get(name) != there.get(name)]
        if differing:
            sys.exit(f"{len(differing)} of {len(there)} holders differ at block {head.number}")
        return seconds

    def await_settled(self) -> None:
        """Wait until it stands at the head, is relied on, and what is final is noted.

        Raises
        ------
        SystemExit
            It never comes to that.
        """
        head, final = self._client.head(), self._client.block(FINALITY)
        assert final is not None, "anvil has one from its first block on"

        def is_settled() -> bool:
            cursor = self.cursor()
            # A chain that is shorter now takes nothing back of what was final.
            noted = cursor.finalized_number or 0
            return cursor.hash == head.hash and cursor.degraded is None and noted >= final.number

        _await(is_settled, f"settle at block {head.number}, with {final.number} final")

    def _on_chain(self, head: Block) -> dict[bytes, int]:
        holders = self._emitter.holders()
        answers = self._client.batch(
            [
                ("eth_call", call_params(self._emitter.token, data, None, head.hash))
                for data in map(self._emitter.balance_call, holders)
            ]
        )
        balances = {
            holder: int(answer, 16) for holder, answer in zip(holders, answers, strict=True)
        }
        return {holder: units for holder, units in balances.items() if units}

    # -- what is said of it ------------------------------------------------------------------

    def alarms(self) -> list[Alarm]:
        """List what the journal tells of the projection as a whole, oldest first."""
        with self._database.reading() as session:
            # Of single tokens, that they are proven again is told beside it.
            query = select(JournalEntry).where(JournalEntry.subject_kind == SUBJECT)
            entries = session.exec(query.order_by(col(JournalEntry.id))).all()
        return [(each.act, each.facts.get("reason") or each.facts["was"]) for each in entries]

    def require_ready(self, reason: str | None) -> None:
        """Ask /readyz whether the projection is to be relied on.

        Parameters
        ----------
        reason
            Why not, as it must say; None where it is.

        Raises
        ------
        SystemExit
            It says otherwise.
        """
        answer = httpx.get(f"{self._api}/readyz", trust_env=False)
        said = (answer.status_code, answer.json()["reasons"])
        if said != ((200, []) if reason is None else (503, [reason])):
            sys.exit(f"/readyz says {said} where the reason is {reason}")


def _await(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.perf_counter() + GIVE_UP_SECONDS
    while not is_so():
        if time.perf_counter() > deadline:
            sys.exit(f"the sync did not {what} in {GIVE_UP_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
