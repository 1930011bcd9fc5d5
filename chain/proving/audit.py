"""Finding what somebody changed of the projection past the sync: which row, and what is true.

It asks as `milkiyat reconcile` does, and mends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlmodel import col, select

from chain.node.client import Block, ChainClient, hex_of
from chain.proving.anchored import wrong_roots
from chain.proving.comparing import Wrong
from chain.proving.contract_repair import ContractRepair
from chain.proving.repair import Repair
from registry.captable import soundness
from registry.captable.models import ChainBlock, Token
from registry.kernel.db import Database

Say = Callable[[str], None]
MOST_ROWS = 20
"""So many rows of one token are named of each kind; the first ones are what matters."""
HEADERS = 200


class ChainAudit:
    """Holds everything that is kept of one chain against its node.

    Parameters
    ----------
    say
        Told how far it is.
    """

    def __init__(self, database: Database, client: ChainClient, say: Say) -> None:
        self._database = database
        self._client = client
        self._say = say

    def journal(self, named: bytes | None = None) -> Iterator[str]:
        """Hold the journal against its roots on chain, those at the address `named` too."""
        self._say("the roots of the journal")
        yield from wrong_roots(self._database, self._client, named=named)

    def blocks(self) -> Iterator[str]:
        """Hold the headers that are kept against the node's."""
        after = -1
        while True:
            with self._database.reading() as session:
                rows = session.exec(
                    select(ChainBlock)
                    .where(
                        col(ChainBlock.chain_id) == self._client.chain_id,
                        col(ChainBlock.number) > after,
                    )
                    .order_by(col(ChainBlock.number))
                    .limit(HEADERS)
                ).all()
            if not rows:
                return
            headers = self._client.headers([row.number for row in rows])
            for row, there in zip(rows, headers, strict=True):
                if _differs(row, there) and self._still_differs(row.number):
                    yield f"Row {row.number} of chain_block is not the chain's block of that number"
            after = rows[-1].number
            self._say(f"blocks up to {after}")

    def _still_differs(self, number: int) -> bool:
        """Look once more: a reorg may have come between the two answers."""
        with self._database.reading() as session:
            row = session.get(ChainBlock, (self._client.chain_id, number))
        return row is not None and _differs(row, self._client.block(number))

    def contracts(self) -> Iterator[str]:
        """Hold what the platform's contracts said against their logs."""
        work = ContractRepair(self._database, self._client, self._say)
        for each in work.list_contracts():
            self._say(f"{each.name} {hex_of(each.address)}")
            bad = work.first_wrong_log(each)
            if bad is None:
                continue
            for wrong in work.wrong_events(each, bad):
                yield f"{_place(wrong)} of contract_event, {each.name}: {_both(wrong)}"

    def token(self, token: Token) -> Iterator[str]:
        """Hold a token's events, history and balances against its logs and its state."""
        assert token.token_no is not None
        name = hex_of(token.address)
        self._say(f"token {name}")
        work = Repair(self._database, self._client, token.token_no, self._say)
        proven = work.prove()
        for item in proven.differences:
            whose = f" of {item['holder']}" if "holder" in item else ""
            yield (
                f"Token {name}: {item['what']}{whose} is {item['database']} in the register, "
                f"and {item['chain']} on chain"
            )
        bad = work.first_wrong_log()
        if bad is not None:
            for wrong in work.wrong_events(bad):
                yield f"{_place(wrong)} of token_event, token {name}: {_both(wrong)}"
        yield from self._unsound(token.token_no, name)

    def _unsound(self, token_no: int, name: str) -> Iterator[str]:
        with self._database.reading() as session:
            history = soundness.unsound_rows(session, token_no, limit=MOST_ROWS)
            balances = soundness.stray_balances(session, token_no, limit=MOST_ROWS)
        for holder, number in history:
            yield (
                f"Row {hex_of(holder)}, block {number}, of balance_at, token {name}: it is not "
                "what the events give"
            )
        for holder, number in balances:
            yield (
                f"Row {hex_of(holder)} of balance, token {name}: it is not the last of its "
                f"history, since block {number}"
            )


def _differs(row: ChainBlock, there: Block | None) -> bool:
    if there is None:
        return True
    mined_at = datetime.fromtimestamp(there.timestamp, UTC)
    ours = (row.hash, row.parent_hash, row.mined_at)
    return ours != (there.hash, there.parent_hash, mined_at)


def _place(wrong: Wrong[Any]) -> str:
    return f"Row block {wrong.block_number}, log {wrong.log_index},"


def _both(wrong: Wrong[Any]) -> str:
    if wrong.ours is None:
        return "it is missing"
    if wrong.theirs is None:
        return "the chain has no such log"
    ours, theirs = wrong.ours._asdict(), wrong.theirs._asdict()
    parts = (
        f"{name} is {_text(ours[name])}, and {_text(theirs[name])} on chain"
        for name in ours
        if ours[name] != theirs[name]
    )
    return "; ".join(parts)


def _text(value: Any) -> str:
    return hex_of(value) if isinstance(value, bytes) else str(value)
