"""Somebody who looks like a name on the list of sanctions: each hit of the screening."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from registry.alert.finding import Found
from registry.alert.models import AlertRule
from registry.alert.policy import AlertPolicies
from registry.sanctions.models import SanctionsHit

HITS_AT_ONCE = 1_000


def hits_since(session: Session, last_id: UUID) -> Sequence[SanctionsHit]:
    """Give the hits that were found since, oldest first."""
    return session.exec(
        select(SanctionsHit)
        .where(col(SanctionsHit.id) > last_id)
        .order_by(col(SanctionsHit.id))
        .limit(HITS_AT_ONCE)
    ).all()


def find_in(hits: Sequence[SanctionsHit], policies: AlertPolicies) -> list[Found]:
    """Give what the rule is about; what officers say of the hit itself is told there."""
    return [
        Found(
            rule=AlertRule.SANCTIONED_NAME,
            key=f"{AlertRule.SANCTIONED_NAME}:{hit.id}",
            happened_at=hit.recorded_at,
            party_id=hit.party_id,
            evidence={
                "hit_id": str(hit.id),
                "reference": hit.reference,
                "score": hit.score,
                "list_entry_id": str(hit.entry_id),
            },
        )
        for hit in hits
        if hit.score >= policies.at(hit.recorded_at).least_score
    ]
