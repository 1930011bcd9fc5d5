"""What an asset was worth at a moment: by the opinion that had been accepted, and stood, by then.

One rule for every report: an opinion has its effect by being accepted, whatever day it is of.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID

from sqlmodel import Session

from registry.captable.bulk import cursor_of
from registry.report.report import Question
from registry.report.subjects import as_recorded

STANDING = "('ACCEPTED', 'STALE')"
"""The states of the opinion that stands for an asset; there is one at most."""

_WORTH = f"""
SELECT asset_id, amount_paisa, basis_date FROM valuation
WHERE asset_id = ANY(%(assets)s) AND state IN {STANDING}
""".encode()  # noqa: S608 - states of our own


class Worth(NamedTuple):
    """The whole asset's worth."""

    asset_id: UUID
    amount_paisa: int
    basis_date: date


def worth_of(
    session: Session, question: Question[Any], asset_ids: Collection[UUID]
) -> dict[UUID, Worth]:
    """Return the worth of assets at the moment; whatever was never valued is left out."""
    if not asset_ids:
        return {}
    with as_recorded(session, question), cursor_of(session) as cursor:
        found = map(Worth._make, cursor.execute(_WORTH, {"assets": sorted(asset_ids)}))
        return {worth.asset_id: worth for worth in found}


def part_of(worth: Worth | None, share: Fraction | None) -> int | None:
    """Give a part of a worth; what is less than a paisa is left out, never rounded up."""
    if worth is None or share is None:
        return None
    exact = worth.amount_paisa * share
    return exact.numerator // exact.denominator
