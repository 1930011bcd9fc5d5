"""Tokens and their cap table over HTTP."""

from __future__ import annotations

from datetime import datetime
from math import gcd
from typing import Any, Self
from uuid import UUID

from api.schemas.claims import ClaimRead
from api.schemas.common import (
    AsOfBlockRead,
    BigInteger,
    ExactFraction,
    OfPerson,
    Read,
    WithAddresses,
    address_of,
    hash_of,
)
from registry.captable.claims import KnownWallet
from registry.captable.control import ControlChange
from registry.captable.entries import CapTableEntry
from registry.captable.models import Reconciliation
from registry.captable.page import HeldUnits
from registry.captable.portfolio import FollowedToken
from registry.kernel.vault import Vault
from registry.party.details import masked_name
from registry.party.service import masked_cnic


class TokenRead(Read):
    """A token as the chain's events tell it.

    `state` is that of today, also with `as_of` or `known_at`: it is the register's own, not the
    chain's. That of a time is told by `/v1/tokenizations/{id}` with `as_of`.
    """

    id: UUID
    symbol: str
    name: str
    chain: str
    address: str
    identity_registry: str
    compliance: str
    declared_fractions: BigInteger
    supply_units: BigInteger
    paused: bool
    state: str
    as_of_block: AsOfBlockRead


class FollowedTokenRead(Read):
    """A token that is read of a chain; `id` is that of its tokenization, null where it has none.

    `symbol`, `name` and `decimals` of such a one are what it told last, null where it did not.
    `caught_up_to` is the block to which it is read where that is not its chain's newest yet,
    `refusal` why it is not read any more.
    """

    id: UUID | None
    symbol: str | None
    name: str | None
    decimals: int | None
    chain: str
    address: str
    identity_registry: str
    first_block: int
    supply_units: BigInteger
    caught_up_to: int | None
    refusal: str | None

    @classmethod
    def of(cls, row: FollowedToken) -> Self:
        token = row.token
        return cls(
            id=row.tokenization_id,
            symbol=row.label.symbol,
            name=row.label.name,
            decimals=row.label.decimals,
            chain=f"eip155:{token.chain_id}",
            address=address_of(token.address),
            identity_registry=address_of(token.identity_registry),
            first_block=token.block_number,
            supply_units=token.supply_units,
            caught_up_to=token.caught_up_to,
            refusal=token.refusal,
        )


class SupplyRead(Read):
    """How many fractions existed at a block."""

    declared_fractions: BigInteger
    supply_units: BigInteger
    as_of_block: AsOfBlockRead


class CapTableRow(Read):
    """One wallet's holding; `share` is exact, in lowest terms."""

    wallet: str
    account: str
    balance_units: BigInteger
    frozen_units: BigInteger
    share: ExactFraction

    @classmethod
    def of(cls, entry: HeldUnits, *, chain_id: int, supply: int) -> Self:
        wallet = address_of(entry.address)
        # In lowest terms without a Fraction of each of a page's rows.
        common = gcd(entry.balance_units, supply)
        return cls(
            wallet=wallet,
            account=f"eip155:{chain_id}:{wallet}",
            balance_units=entry.balance_units,
            frozen_units=entry.frozen_units,
            share=(entry.balance_units // common, supply // common) if supply else (0, 1),
        )


class CapTableRead(Read):
    """Who holds how much, at one block."""

    items: list[CapTableRow]
    next: str | None
    supply_units: BigInteger
    as_of_block: AsOfBlockRead


class HolderRow(CapTableRow, OfPerson):
    """A holding with the person behind it; name and CNIC are masked.

    `identity`, `country` and `claims` are those of the block; whose the wallet is, of today.
    """

    party_id: UUID | None
    name: str | None
    cnic_masked: str | None
    country: int | None
    identity: str | None
    claims: list[ClaimRead]

    @classmethod
    def of_person(
        cls,
        vault: Vault,
        entry: CapTableEntry,
        known: KnownWallet | None,
        *,
        chain_id: int,
        supply: int,
    ) -> Self:
        holding = CapTableRow.of(entry, chain_id=chain_id, supply=supply)
        party = entry.party
        return cls(
            **holding.model_dump(),
            party_id=party.id if party else None,
            name=masked_name(vault, party) if party else None,
            cnic_masked=masked_cnic(vault, party) if party else None,
            country=known.country if known else None,
            identity=address_of(known.identity) if known else None,
            claims=[ClaimRead.of(claim) for claim in known.claims] if known else [],
        )


class HoldersRead(Read):
    """The holders' register, at one block."""

    items: list[HolderRow]
    next: str | None
    supply_units: BigInteger
    as_of_block: AsOfBlockRead


class ControlChangeRead(Read):
    """One change of who may do what to a token, or by which rules.

    `contract` is the one of the token's suite that told it, `said` the arguments of its event.
    """

    block_number: int
    time: datetime
    log_index: int
    tx_hash: str
    contract: str
    event: str
    said: WithAddresses

    @classmethod
    def of(cls, row: ControlChange) -> Self:
        return cls(
            block_number=row.block_number,
            time=row.mined_at,
            log_index=row.log_index,
            tx_hash=hash_of(row.tx_hash),
            contract=row.contract,
            event=row.event,
            said=dict(row.said),
        )


class ReconciliationRead(Read):
    """The cap table held against the chain's own answers at the same block.

    `void_since` is when the token was read again, so that the proof says nothing of what is
    known now; null where it does.
    """

    id: UUID
    recorded_at: datetime
    block_number: int
    block_hash: str
    holders: int
    projected_supply_units: BigInteger
    chain_supply_units: BigInteger
    differences: list[dict[str, Any]]
    void_since: datetime | None

    @classmethod
    def of(cls, row: Reconciliation) -> Self:
        return cls(**row.model_dump(exclude={"block_hash"}), block_hash=hash_of(row.block_hash))
