"""What a rule found, before it is an alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from registry.alert.models import AlertRule


@dataclass(frozen=True, slots=True)
class ChainPlace:
    """The transaction that did it, and the block that it stands in."""

    chain_id: int
    block_number: int
    block_hash: bytes
    tx_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One finding; see `models.Alert` for what its parts mean."""

    rule: AlertRule
    key: str
    happened_at: datetime
    evidence: Mapping[str, Any]
    party_id: UUID | None = None
    wallet: bytes | None = None
    tokenization_id: UUID | None = None
    place: ChainPlace | None = None
