"""Alerts over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from api.schemas.common import BigInteger, OfPerson, address_of, hash_of
from api.schemas.free_text import FreeText
from registry.alert.models import Alert, AlertRule, AlertState


class AlertRead(OfPerson):
    """What a rule found; `taken_back_at` says that a reorg took the block in which it happened.

    `evidence` is figures and ids, by rule; see docs/guides/alerts.md. Of a wallet that nobody has
    proven there is no party.
    """

    id: UUID
    recorded_at: datetime
    rule: AlertRule
    party_id: UUID | None
    wallet: str | None
    tokenization_id: UUID | None
    evidence: dict[str, Any]
    chain_id: BigInteger | None
    block_number: BigInteger | None
    block_hash: str | None
    tx_hash: str | None
    happened_at: datetime
    taken_back_at: datetime | None
    state: AlertState
    reviewed_by: str | None
    reason: FreeText | None
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: FreeText | None

    @classmethod
    def of(cls, alert: Alert) -> Self:
        return cls(
            **alert.model_dump(exclude={"wallet", "block_hash", "tx_hash"}),
            wallet=address_of(alert.wallet) if alert.wallet else None,
            block_hash=hash_of(alert.block_hash) if alert.block_hash else None,
            tx_hash=hash_of(alert.tx_hash) if alert.tx_hash else None,
        )
