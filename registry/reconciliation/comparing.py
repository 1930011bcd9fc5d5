"""The holders of a register of record beside those of the token, compared by the database."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from sqlmodel import Session

from registry.captable.bulk import cursor_of
from registry.captable.held import held_by
from registry.reconciliation.views import Difference, TokenView

MOST = 1_000
"""So many holders have a break of their own; a statement may be wrong of a million."""
MORE = "other holders"
"""What the break of all the others is of."""
FILED = "SELECT party_id, units FROM register_statement_row WHERE statement_id = %(statement)s"

_OWNERS = """
JOIN holder h ON h.holder_no = x.holder_no
JOIN wallet w ON w.address = h.address
JOIN investor i ON i.id = w.investor_id
"""
OWNED = f"SELECT i.party_id, h.address, x.balance_units AS units FROM ({{held}}) x {_OWNERS}"  # noqa: S608
"""What each wallet that is somebody's holds."""
DIFFERING = f"""
SELECT party_id, coalesce(s.units, 0) AS stated, coalesce(o.units, 0) AS has
FROM (SELECT party_id, sum(units) AS units FROM ({OWNED}) o GROUP BY party_id) o
FULL JOIN ({{stated}}) s USING (party_id)
WHERE coalesce(o.units, 0) <> coalesce(s.units, 0)
"""  # noqa: S608 - no value in it
"""Parties of whom the two say different things, all wallets of one together."""
_DIFFERENCES = f"""
SELECT party_id, address, stated, has, count(*) OVER () FROM (
  SELECT party_id, NULL::bytea AS address, stated, has FROM ({DIFFERING}) d
  UNION ALL
  SELECT NULL, h.address, 0, x.balance_units
  FROM ({{held}}) x JOIN holder h ON h.holder_no = x.holder_no
  WHERE NOT EXISTS (SELECT FROM wallet w WHERE w.address = h.address)) a
WHERE (%(party)s::uuid IS NULL OR party_id = %(party)s)
  AND (%(address)s::bytea IS NULL OR address = %(address)s)
ORDER BY party_id, address LIMIT {MOST}
"""  # noqa: S608 - no value in it


class Compared(NamedTuple):
    """How many holders differ, and what is to have a break."""

    holders: int
    differences: list[Difference]


def compare(
    session: Session, view: TokenView, stated: str, statement_id: UUID | None = None
) -> Compared:
    """Say per holder where the register of record and the cap table differ.

    An address of nobody that we know is a difference of its own.

    Parameters
    ----------
    stated
        SQL of (party_id, units): `FILED`, or what is not filed yet.
    """
    kind, _, name = (view.subject or "").partition(":")
    values = {
        "statement": statement_id,
        "party": UUID(name) if kind == "party" else None,
        "address": bytes.fromhex(kind[2:]) if kind.startswith("0x") else None,
    }
    query = _DIFFERENCES.format(held=held_by(view.token, view.block), stated=stated)
    with cursor_of(session) as cursor:
        found = cursor.execute(query.encode(), values).fetchall()
    holders = int(found[0][-1]) if found else 0
    differences = [_difference(*row[:4]) for row in found]
    if holders > len(found):
        said = f"{holders - len(found)} more holders differ: R-09 with differences_only lists them."
        differences.append(Difference("REG-01", MORE, said))
    return Compared(holders, differences)


def _difference(party_id: UUID | None, address: bytes | None, stated: int, has: int) -> Difference:
    if party_id is not None:
        said = f"The register of record has {stated}, the token {has}."
        return Difference("REG-01", f"party:{party_id}", said)
    assert address is not None, "a holder is a party, or an address"
    said = f"The token has {has} for an address that is nobody's."
    return Difference("REG-01", f"0x{address.hex()}", said)
