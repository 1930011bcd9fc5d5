"""What the chain told, decoded: the input of the projection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from registry.captable import amounts
from registry.captable.columns import NO_TRANSFERS, NOBODY, Transfers
from registry.captable.models import EventKind

FORCED = {"forced": True}
"""What is kept of a transfer that an agent has made."""


class ProjectedEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One log of a token or of its identity registry.

    Transfers are in columns, of which `event_of` gives one where only few are looked at.

    Parameters
    ----------
    token
        Address of the token that it concerns.
    source, target
        Addresses; a mint has no source, a burn no target.
    units : int | None
        Whole fractions, where the event moves or freezes any.
    has_newer_country
        The country in `extra` is that of a later block: nobody could tell that of its own.
    """

    token: bytes
    block_number: int
    log_index: int
    tx_hash: bytes
    kind: EventKind
    source: bytes | None = None
    target: bytes | None = None
    units: int | None = None
    extra: dict[str, Any] | None = None
    has_newer_country: bool = False


def event_of(transfers: Transfers, place: int) -> ProjectedEvent:
    """Give one of many transfers as an event."""
    source, target = int(transfers.source[place]), int(transfers.target[place])
    return ProjectedEvent(
        token=transfers.tokens[transfers.token[place]],
        block_number=int(transfers.block[place]),
        log_index=int(transfers.log_index[place]),
        tx_hash=transfers.tx_hash[place].tobytes(),
        kind=EventKind.TRANSFER,
        source=None if source == NOBODY else transfers.wallets[source],
        target=None if target == NOBODY else transfers.wallets[target],
        units=amounts.to_ints(transfers.units[place : place + 1])[0],
        extra=FORCED if transfers.forced[place] else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectedContractEvent:
    """One log of a contract of the platform that serves all tokens.

    Parameters
    ----------
    subject
        The identity or the party that it is about, if it is about one.
    said
        The arguments by name: numbers as text, addresses and hashes in hex.
    """

    address: bytes
    block_number: int
    log_index: int
    tx_hash: bytes
    event: str
    subject: bytes | None
    said: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TokenLabel:
    """What a token calls itself; None for what it does not tell."""

    symbol: str | None = None
    name: str | None = None
    decimals: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectedToken:
    """A suite that our factory deployed, or somebody else did.

    Parameters
    ----------
    identity_storage
        What is to tell who is registered; without it the identity registry does.
    is_apart
        Whether it is to be read by itself from its first block on.
    """

    address: bytes
    identity_registry: bytes
    compliance: bytes
    block_number: int
    identity_storage: bytes | None = None
    label: TokenLabel = TokenLabel()
    is_apart: bool = False


@dataclass(frozen=True, slots=True)
class ProjectedBlock:
    """A header that we believe in."""

    number: int
    hash: bytes
    parent_hash: bytes
    mined_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectedRange:
    """Everything that happened from one cursor to the next.

    Parameters
    ----------
    blocks
        Headers of the blocks with events, and of the last block; ascending.
    transfers
        All Transfer logs of tokens, in the order of the chain.
    events
        Every other log of a token or of its registry, in the order of the chain.
    contract_events
        The same, of contracts that are no token's.
    head_number
        The node's newest block when the range was read.
    """

    blocks: Sequence[ProjectedBlock]
    tokens: Sequence[ProjectedToken] = field(default_factory=tuple)
    transfers: Transfers = NO_TRANSFERS
    events: Sequence[ProjectedEvent] = field(default_factory=tuple)
    contract_events: Sequence[ProjectedContractEvent] = field(default_factory=tuple)
    head_number: int

    @property
    def end(self) -> ProjectedBlock:
        return self.blocks[-1]

    @property
    def count(self) -> int:
        """How many logs of tokens there are."""
        return len(self.transfers) + len(self.events)

    def everything(self) -> Iterator[ProjectedEvent]:
        """Give what tokens said one by one, transfers first."""
        yield from (event_of(self.transfers, place) for place in range(len(self.transfers)))
        yield from self.events

    def named_tokens(self) -> set[bytes]:
        """Give the tokens that said anything."""
        return self.transfers.named_tokens() | {event.token for event in self.events}
