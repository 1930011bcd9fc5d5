"""What an asset was worth at a moment: by the newest valuation of then that was ever accepted."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from registry.kernel.clock import day_of
from registry.report.report import Question
from registry.valuation.models import ValuationState

ACCEPTED = [
    state.value
    for state in (ValuationState.ACCEPTED, ValuationState.STALE, ValuationState.SUPERSEDED)
]
"""A valuation that was superseded was what the asset was worth until then."""

_WORTH = text("""
SELECT DISTINCT ON (asset_id) asset_id, amount_paisa, basis_date, state
FROM valuation
WHERE asset_id = ANY(:assets) AND state = ANY(:accepted)
  AND basis_date <= :day AND recorded_at <= :moment
ORDER BY asset_id, basis_date DESC, state = 'SUPERSEDED', id DESC
""")


# The same of each of many assets, beside whatever else is read of them: `valued.amount_paisa`.
VALUED = """
LEFT JOIN LATERAL (
  SELECT amount_paisa FROM valuation
  WHERE asset_id = a.id AND state = ANY(%(accepted)s)
    AND basis_date <= %(day)s AND recorded_at <= %(moment)s
  ORDER BY basis_date DESC, state = 'SUPERSEDED', id DESC LIMIT 1) valued ON true
"""


class Worth(NamedTuple):
    """The whole asset's worth."""

    asset_id: UUID
    amount_paisa: int
    basis_date: Any
    state: str


def when_valued(question: Question[Any]) -> dict[str, Any]:
    """Give what both statements are told: which opinions count, and until when."""
    return {
        "accepted": ACCEPTED,
        "day": day_of(question.moment),
        "moment": question.moment,
    }


def worth_of(session: Session, question: Question[Any], asset_ids: set[UUID]) -> dict[UUID, Worth]:
    """Return the worth of assets at the moment; whatever was never valued is left out."""
    asked = when_valued(question) | {"assets": list(asset_ids)}
    return {row.asset_id: Worth(*row) for row in session.execute(_WORTH, asked)}


def part_of(worth_paisa: int | None, share: Fraction | None) -> int | None:
    """Give a part of a worth; what is less than a paisa is left out, never rounded up."""
    if worth_paisa is None or share is None:
        return None
    exact = worth_paisa * share
    return exact.numerator // exact.denominator
