"""What the chain told, decoded: the input of the projection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from registry.captable.models import EventKind


class ProjectedEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One log of a token or of its identity registry.

    There are as many as logs: a struct is made four times as fast as a dataclass, and the
    garbage collector does not walk it.

    Parameters
    ----------
    token
        Address of the token that it concerns.
    source, target
        Addresses; a mint has no source, a burn no target.
    units : int | None
        Whole fractions, where the event moves or freezes any.
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
    """A suite that our factory deployed, or somebody else did."""

    address: bytes
    identity_registry: bytes
    compliance: bytes
    block_number: int
    label: TokenLabel = TokenLabel()


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
    events
        In the order of the chain.
    contract_events
        The same, of contracts that are no token's.
    head_number
        The node's newest block when the range was read.
    """

    blocks: Sequence[ProjectedBlock]
    tokens: Sequence[ProjectedToken] = field(default_factory=tuple)
    events: Sequence[ProjectedEvent] = field(default_factory=tuple)
    contract_events: Sequence[ProjectedContractEvent] = field(default_factory=tuple)
    head_number: int

    @property
    def end(self) -> ProjectedBlock:
        return self.blocks[-1]
