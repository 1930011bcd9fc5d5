"""What the stream of a cap table says."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from api.schemas.common import AsOfBlockRead, BigInteger, Read, address_of, hash_of
from api.schemas.holdings import TransferRead
from registry.captable.feed import Act, BlockAdded, BlockTaken, HolderNow


class PositionEvent(Read):
    """`position`: up to here everything was told; the first event, and a sign of life."""

    number: int
    hash: str


class ReadAnewEvent(Read):
    """`read_anew`: what was told before may be wrong; read the cap table, then follow from here."""

    number: int
    hash: str


class HolderNowRead(Read):
    """What a wallet holds after a block that changed it."""

    wallet: str
    balance_units: BigInteger
    frozen_units: BigInteger

    @classmethod
    def of(cls, row: HolderNow) -> Self:
        return cls(
            wallet=address_of(row.address),
            balance_units=row.balance_units,
            frozen_units=row.frozen_units,
        )


class ActRead(Read):
    """Anything else that a block said of the token, by the name of its kind."""

    kind: str
    source: str | None
    target: str | None
    units: BigInteger | None

    @classmethod
    def of(cls, row: Act) -> Self:
        return cls(
            kind=row.kind.name,
            source=address_of(row.source) if row.source else None,
            target=address_of(row.target) if row.target else None,
            units=row.units,
        )


class BlockEvent(Read):
    """`block`: a block that said something of the token, and what its holders hold after it."""

    block: AsOfBlockRead
    supply_units: BigInteger
    transfers: list[TransferRead]
    acts: list[ActRead]
    holders: list[HolderNowRead]

    @classmethod
    def of(cls, news: BlockAdded, confirmations_needed: int) -> Self:
        return cls(
            block=AsOfBlockRead.of(news.block, confirmations_needed),
            supply_units=news.supply_units,
            transfers=[TransferRead.of(row) for row in news.transfers],
            acts=[ActRead.of(row) for row in news.acts],
            holders=[HolderNowRead.of(row) for row in news.holders],
        )


class RolledBackEvent(Read):
    """`rolled_back`: a block that a reorg has taken; forget what it said."""

    number: int
    hash: str
    time: datetime
    orphaned_at: datetime

    @classmethod
    def of(cls, news: BlockTaken) -> Self:
        return cls(
            number=news.number,
            hash=hash_of(news.hash),
            time=news.mined_at,
            orphaned_at=news.orphaned_at,
        )
