"""Transfers, holdings of one wallet, and how units are spread, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Self
from uuid import UUID

from api.schemas.claims import ClaimRead
from api.schemas.common import (
    AsOfBlockRead,
    BigInteger,
    ExactFraction,
    Read,
    address_of,
    exact,
    hash_of,
)
from registry.captable.concentration import Concentration, HolderKind
from registry.captable.history import HoldingChange
from registry.captable.transfers import TransferNature, TransferRow


class TransferRead(Read):
    """One movement; a mint has no `source`, a burn no `target`.

    `case_id` is the case under which units were moved or burned without their holder.
    """

    nature: TransferNature
    case_id: UUID | None
    block_number: int
    time: datetime
    log_index: int
    tx_hash: str
    source: str | None
    target: str | None
    units: BigInteger

    @classmethod
    def of(cls, row: TransferRow) -> Self:
        return cls(
            nature=row.nature,
            case_id=row.case_id,
            block_number=row.block_number,
            time=row.mined_at,
            log_index=row.log_index,
            tx_hash=hash_of(row.tx_hash),
            source=address_of(row.source) if row.source else None,
            target=address_of(row.target) if row.target else None,
            units=row.units,
        )


class DatedTransferRead(TransferRead):
    """One movement, with the time of its block and the day on which it holds in law.

    `effective_on` is the day of the court order that the case obeys, else of the case's own paper,
    as the register knows them now; null where neither names a day, and for what no case did:
    that has its effect with its block.
    """

    effective_on: date | None

    @classmethod
    def dated(cls, row: TransferRow, days: Mapping[UUID, date]) -> Self:
        day = days.get(row.case_id) if row.case_id else None
        return cls(**dict(TransferRead.of(row)), effective_on=day)


class WalletHoldingRead(Read):
    """What one wallet held, at one block; zero where it never held any.

    A wallet that is frozen as a whole (`wallet_frozen`) moves nothing, whatever is frozen of it.
    `identity` and `country` are those with which the token's registry knew it then, `claims` what
    was claimed about that identity; none where the wallet was not registered.
    """

    wallet: str
    balance_units: BigInteger
    frozen_units: BigInteger
    wallet_frozen: bool
    identity: str | None
    country: int | None
    claims: list[ClaimRead]
    as_of_block: AsOfBlockRead


class CaseEffectRead(Read):
    """A case by which units were moved or burned, and on which day that holds in law."""

    case_id: UUID
    effective_on: date | None


class HoldingChangeRead(Read):
    """What a wallet held from a block on, and what the block added to it.

    `causes` are the cases by which units of it, or to it, were moved or burned in the block, each
    with the day in law as of DatedTransferRead.
    """

    block_number: int
    block_hash: str
    time: datetime
    balance_units: BigInteger
    frozen_units: BigInteger
    balance_change: BigInteger
    frozen_change: BigInteger
    causes: list[CaseEffectRead]

    @classmethod
    def of(cls, row: HoldingChange, causes: Sequence[CaseEffectRead]) -> Self:
        return cls(
            block_number=row.block_number,
            block_hash=hash_of(row.block_hash),
            time=row.mined_at,
            balance_units=row.balance_units,
            frozen_units=row.frozen_units,
            balance_change=row.balance_change,
            frozen_change=row.frozen_change,
            causes=list(causes),
        )


class HoldingChangesRead(Read):
    """The history of one wallet's holding, up to one block."""

    items: list[HoldingChangeRead]
    next: str | None
    as_of_block: AsOfBlockRead


class TopHoldersRead(Read):
    """The largest holders together."""

    holders: int
    units: BigInteger
    share: ExactFraction


class SizeBandRead(Read):
    """Holders of at least `from_units` and less than `below_units`."""

    from_units: BigInteger
    below_units: BigInteger
    holders: int
    units: BigInteger


class ConcentrationRead(Read):
    """How the units are spread over their holders; every fraction is exact, in lowest terms.

    `herfindahl` is the sum of the squares of the shares, from 1 / `holders` to 1. `gini` is 0
    where all hold the same.
    """

    by: HolderKind
    holders: int
    units: BigInteger
    herfindahl: ExactFraction
    gini: ExactFraction
    top: list[TopHoldersRead]
    sizes: list[SizeBandRead]
    as_of_block: AsOfBlockRead

    @classmethod
    def of(cls, found: Concentration, by: HolderKind, block: AsOfBlockRead) -> Self:
        return cls(
            by=by,
            holders=found.holders,
            units=found.units,
            herfindahl=exact(found.herfindahl),
            gini=exact(found.gini),
            top=[
                TopHoldersRead(holders=row.holders, units=row.units, share=exact(row.share))
                for row in found.top
            ],
            sizes=[
                SizeBandRead(
                    from_units=row.from_units,
                    below_units=10 * row.from_units,
                    holders=row.holders,
                    units=row.units,
                )
                for row in found.sizes
            ],
            as_of_block=block,
        )
