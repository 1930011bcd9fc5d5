"""What the projection says of single holders: everything that the chain can be asked about them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlmodel import Session

from registry.captable.bulk import cursor_of
from registry.captable.models import EventKind


@dataclass(frozen=True, slots=True)
class HolderFacts:
    """One address of one token.

    Parameters
    ----------
    balance, frozen : int
        Whole fractions.
    is_frozen : bool
        The address as a whole.
    identity : bytes
        ONCHAINID that the token's registry has for it; zeros where it has none.
    country : int
        ISO 3166-1 numeric; 0 where it is not registered.
    """

    address: bytes
    balance: int
    frozen: int
    is_frozen: bool
    identity: bytes
    country: int


NOBODY = bytes(20)

_SLICE = f"""
SELECT holder_no FROM (
  (SELECT holder_no FROM balance
   WHERE token_no = %(token)s AND holder_no > %(after)s ORDER BY holder_no LIMIT %(limit)s)
  UNION
  (SELECT holder_no FROM registered_wallet
   WHERE token_no = %(token)s AND holder_no > %(after)s ORDER BY holder_no LIMIT %(limit)s)
  UNION
  (SELECT DISTINCT target FROM token_event
   WHERE token_no = %(token)s AND kind = {EventKind.ADDRESS_FROZEN:d} AND target > %(after)s
   ORDER BY target LIMIT %(limit)s)) AS everybody
ORDER BY holder_no LIMIT %(limit)s
"""  # noqa: S608 - a number of our own
_CHANGED = """
SELECT DISTINCT holder_no FROM (
  SELECT source, target FROM token_event WHERE token_no = %(token)s AND block_number > %(after)s
) AS e, LATERAL (VALUES (e.source), (e.target)) AS v(holder_no)
WHERE holder_no IS NOT NULL LIMIT %(limit)s
"""
_FACTS = f"""
SELECT h.address, coalesce(b.balance_units, 0), coalesce(b.frozen_units, 0),
  coalesce(f.frozen, false), w.identity, coalesce(w.country, 0)
FROM holder h
LEFT JOIN balance b ON b.token_no = %(token)s AND b.holder_no = h.holder_no
LEFT JOIN registered_wallet w ON w.token_no = %(token)s AND w.holder_no = h.holder_no
LEFT JOIN LATERAL (
  SELECT (extra->>'frozen')::bool AS frozen FROM token_event
  WHERE token_no = %(token)s AND kind = {EventKind.ADDRESS_FROZEN:d} AND target = h.holder_no
  ORDER BY block_number DESC, log_index DESC LIMIT 1) f ON true
WHERE h.holder_no = ANY(%(holders)s) OR h.address = ANY(%(addresses)s)
ORDER BY h.holder_no
"""  # noqa: S608


def list_slice(session: Session, token_no: int, *, after: int, limit: int) -> list[int]:
    """List the next holders of whom the projection says anything, by number."""
    where = {"token": token_no, "after": after, "limit": limit}
    with cursor_of(session) as cursor:
        return [row[0] for row in cursor.execute(_SLICE, where)]


def list_changed(session: Session, token_no: int, *, after: int, limit: int) -> list[int] | None:
    """List holders whom events above block `after` name, up to `limit`; None without events."""
    where = {"token": token_no, "after": after, "limit": limit}
    with cursor_of(session) as cursor:
        found = cursor.execute(_CHANGED, where).fetchall()
        if not found:
            # A pause names nobody.
            query = "SELECT 1 FROM token_event WHERE token_no = %s AND block_number > %s LIMIT 1"
            if cursor.execute(query, [token_no, after]).fetchone() is None:
                return None
    return [row[0] for row in found]


def read_facts(
    session: Session,
    token_no: int,
    holders: Collection[int],
    addresses: Collection[bytes] = (),
) -> Sequence[HolderFacts]:
    """Return what is said of holders, given by number or by address."""
    where = {"token": token_no, "holders": list(holders), "addresses": list(addresses)}
    with cursor_of(session) as cursor:
        return [
            HolderFacts(
                address=address,
                balance=int(balance),
                frozen=int(frozen),
                is_frozen=is_frozen,
                identity=identity or NOBODY,
                country=country,
            )
            for address, balance, frozen, is_frozen, identity, country in cursor.execute(
                _FACTS, where
            )
        ]


def count_holders(session: Session, token_no: int, *, limit: int) -> int:
    """Return how many ever held the token; counting ends at `limit`."""
    with cursor_of(session) as cursor:
        query = "SELECT count(*) FROM (SELECT 1 FROM balance WHERE token_no = %s LIMIT %s) AS held"
        row = cursor.execute(query, [token_no, limit]).fetchone()
    return int(row[0]) if row else 0


def sum_of_balances(session: Session, token_no: int) -> int:
    """Return what all holders of a token have together."""
    with cursor_of(session) as cursor:
        query = "SELECT coalesce(sum(balance_units), 0) FROM balance WHERE token_no = %s"
        row = cursor.execute(query, [token_no]).fetchone()
    return int(row[0]) if row else 0
