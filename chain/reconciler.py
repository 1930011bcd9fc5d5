"""Proving the projection: supply and every balance, asked of the chain at the same block."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import exists
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from chain.abi import contract
from chain.client import ChainClient, hex_of
from chain.errors import RpcRefused
from chain.holdings import HoldingReader
from registry.captable.models import Reconciliation, SyncCursor, Token, TokenEvent
from registry.captable.stream import read_all_holdings
from registry.kernel.clock import now
from registry.kernel.db import Database

log = structlog.get_logger()

REPEAT_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Expected:
    """What the projection says at the cursor's block."""

    token: Token
    block_number: int
    block_hash: bytes
    supply: int
    balances: dict[bytes, tuple[int, int]]


class Reconciler:
    """Holds the projection against the chain."""

    def __init__(self, database: Database, client: ChainClient) -> None:
        self._database = database
        self._client = client
        self._holdings = HoldingReader(client)

    def reconcile_due(self) -> int:
        """Prove every token that changed since its last proof, or was proven long ago.

        Returns
        -------
        int
            Proofs made.
        """
        made = 0
        for expected in self._due():
            try:
                self._store(expected, self._differences(expected))
            except RpcRefused as refused:
                # The block left the chain while we asked; the indexer will say so next.
                log.info("reconciliation_postponed", reason=refused.message)
                continue
            made += 1
        return made

    def _due(self) -> list[_Expected]:
        with self._database.reading() as session:
            cursor = session.get(SyncCursor, self._client.chain_id)
            if cursor is None:
                return []
            due = []
            for token in session.exec(
                select(Token).where(col(Token.chain_id) == self._client.chain_id)
            ).all():
                last = session.exec(
                    select(Reconciliation)
                    .where(col(Reconciliation.token_no) == token.token_no)
                    .order_by(col(Reconciliation.id).desc())
                    .limit(1)
                ).first()
                changed = session.exec(
                    select(TokenEvent.block_number)
                    .where(col(TokenEvent.token_no) == token.token_no)
                    .order_by(col(TokenEvent.block_number).desc())
                    .limit(1)
                ).first()
                if (
                    last is not None
                    and (changed or 0) <= last.block_number
                    and last.recorded_at > now() - REPEAT_AFTER
                ):
                    continue
                due.append(
                    _Expected(
                        token,
                        cursor.number,
                        cursor.hash,
                        int(token.supply_units),
                        read_all_holdings(session, token),
                    )
                )
            return due

    def _differences(self, expected: _Expected) -> tuple[int, list[dict[str, Any]]]:
        """Ask the chain at exactly the projected block; return its supply and what differs."""
        address, block = expected.token.address, expected.block_hash
        total_supply = contract("Token").functions["totalSupply"]
        supply = int.from_bytes(
            self._client.call(address, total_supply.encode(), block=block), "big"
        )
        amounts = self._holdings.read(address, list(expected.balances), block)
        found = []
        if supply != expected.supply:
            found.append({"what": "supply", "database": str(expected.supply), "chain": str(supply)})
        for place, (address, (balance, frozen)) in enumerate(expected.balances.items()):
            for what, ours, theirs in (
                ("balance", balance, amounts[2 * place]),
                ("frozen", frozen, amounts[2 * place + 1]),
            ):
                if ours != theirs:
                    found.append(
                        {
                            "what": what,
                            "holder": hex_of(address),
                            "database": str(ours),
                            "chain": str(theirs),
                        }
                    )
        total = sum(balance for balance, _ in expected.balances.values())
        if not found and total != supply:
            # A holder whom the projection lost is not asked about; the sum tells.
            found.append({"what": "sum of balances", "database": str(total), "chain": str(supply)})
        return supply, found

    def _store(self, expected: _Expected, outcome: tuple[int, list[dict[str, Any]]]) -> None:
        supply, differences = outcome
        assert expected.token.token_no is not None
        with self._database.transaction() as session:
            session.add(
                Reconciliation(
                    token_no=expected.token.token_no,
                    block_number=expected.block_number,
                    block_hash=expected.block_hash,
                    holders=sum(1 for balance, _ in expected.balances.values() if balance),
                    projected_supply_units=expected.supply,
                    chain_supply_units=supply,
                    differences=differences,
                )
            )
            cursor = session.get_one(SyncCursor, self._client.chain_id, with_for_update=True)
            if differences:
                name = hex_of(expected.token.address)
                log.error("cap_table_differs", token=name, differences=differences)
            if differences or cursor.degraded:
                session.flush()
                names = ", ".join(map(hex_of, self._differing(session)))
                cursor.degraded = (
                    f"the cap table of {names} differs from the chain" if names else None
                )
            session.add(cursor)

    def _differing(self, session: Session) -> list[bytes]:
        """List the tokens whose newest proof found a difference."""
        later = aliased(Reconciliation)
        superseded = exists().where(
            col(later.token_no) == col(Reconciliation.token_no),
            col(later.id) > col(Reconciliation.id),
        )
        rows = session.exec(
            select(Token.address, Reconciliation.differences)
            .join(Reconciliation, col(Reconciliation.token_no) == col(Token.token_no))
            .where(col(Token.chain_id) == self._client.chain_id, ~superseded)
            .order_by(col(Token.token_no))
        )
        return [address for address, differences in rows if differences]
