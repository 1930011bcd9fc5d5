"""Since when an interest has been declared, declaration after declaration, without a break."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from registry.interest.models import OWNING

# Of those that begin together the one decided last holds, as in `service.in_force`.
_EVER_IN_FORCE = text("""
SELECT d.party_id, d.valid_from, d.valid_to, coalesce(l.holders, '{}') AS holders
FROM (
  SELECT DISTINCT ON (party_id, valid_from) id, party_id, valid_from, valid_to
  FROM interest_declaration
  WHERE party_id = ANY(CAST(:parties AS uuid[])) AND state = 'CONFIRMED' AND valid_from <= :as_of
  ORDER BY party_id, valid_from DESC, decided_at DESC, id DESC) d
LEFT JOIN LATERAL (
  SELECT array_agg(holder_id) AS holders FROM declared_interest
  WHERE declaration_id = d.id AND nature = ANY(:owning)) l ON true
ORDER BY d.party_id, d.valid_from DESC
""")


class _Stretch(NamedTuple):
    """What held of a party until the next declaration, or until its own end."""

    party_id: UUID
    valid_from: datetime
    valid_to: datetime | None
    holders: Sequence[UUID]


def owning_since(
    session: Session, party_ids: Collection[UUID], as_of: datetime
) -> Mapping[tuple[UUID, UUID], datetime]:
    """Return since when each owner has had a part of each of these companies and trusts.

    Returns
    -------
    dict
        To the company and its owner of then; who had none at `as_of` is left out.
    """
    asked = {"parties": list(party_ids), "as_of": as_of, "owning": [each.value for each in OWNING]}
    found: dict[tuple[UUID, UUID], datetime] = {}
    rows = (_Stretch(*row) for row in session.execute(_EVER_IN_FORCE, asked))
    for party_id, stretches in groupby(rows, key=lambda row: row.party_id):
        standing: set[UUID] | None = None
        began = as_of
        for stretch in stretches:
            if stretch.valid_to is not None and (
                stretch.valid_to <= as_of if standing is None else stretch.valid_to < began
            ):
                break
            holders = set(stretch.holders)
            standing = holders if standing is None else standing & holders
            began = stretch.valid_from
            found |= {(party_id, holder_id): began for holder_id in standing}
    return found
