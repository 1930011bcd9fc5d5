"""Blocks that a reorg took, as we knew them."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime
from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, SQLModel

from registry.kernel.columns import Uint256, bigint, binary, instant


def _by_column(kind: type[TypeEngine[Any]]) -> Any:
    return Field(sa_column=Column(ARRAY(kind), nullable=False, server_default=text("'{}'")))


class OrphanBlock(SQLModel, table=True):
    """A block that we believed in until a reorg, with its events: what we knew.

    A block that is taken back, comes again and is taken back again has a row for each time.

    Parameters
    ----------
    contract_events
        What contracts said that are no token's (`captable.contract_models`).
    recorded_at, orphaned_at
        From when, and until when, we believed in it; the database's own clock.
    token_nos, log_indexes, kinds, tx_hashes, sources, targets, amounts, extras
        Its events in the order of the chain, by column: see `events`.
    """

    __tablename__ = "orphan_block"
    __table_args__ = (Index("ix_orphan_block_orphaned", "chain_id", "orphaned_at", "number"),)

    chain_id: int = bigint(primary_key=True)
    hash: bytes = binary(primary_key=True)
    orphaned_at: AwareDatetime = Field(
        sa_column=Column(DateTime(timezone=True), primary_key=True, nullable=False)
    )
    number: int = bigint()
    mined_at: AwareDatetime = instant(nullable=False)
    recorded_at: AwareDatetime = instant(nullable=False)
    # Only ever read as a whole, and stored as they are: in a reorg, time is short.
    token_nos: list[int] = _by_column(Integer)
    log_indexes: list[int] = _by_column(Integer)
    kinds: list[int] = _by_column(Integer)
    tx_hashes: list[bytes] = _by_column(LargeBinary)
    sources: list[int | None] = _by_column(Integer)
    targets: list[int | None] = _by_column(Integer)
    amounts: list[int | None] = _by_column(Uint256)
    extras: list[dict[str, Any] | None] = _by_column(JSONB)
    contract_events: list[dict[str, Any]] = Field(
        sa_column=Column(JSONB, nullable=False, server_default=text("'[]'"))
    )

    @property
    def events(self) -> list[dict[str, Any]]:
        """What its tokens said, as JSON has it: hashes in hex, and amounts in digits."""
        return [
            {
                "token_no": token_no,
                "block_number": self.number,
                "log_index": log_index,
                "kind": kind,
                "tx_hash": tx_hash.hex(),
                "source": source,
                "target": target,
                "units": None if units is None else str(units),
                "extra": extra,
            }
            for token_no, log_index, kind, tx_hash, source, target, units, extra in zip(
                self.token_nos,
                self.log_indexes,
                self.kinds,
                self.tx_hashes,
                self.sources,
                self.targets,
                self.amounts,
                self.extras,
                strict=True,
            )
        ]
