"""What an export says of its token and its block, and the rows that every format writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.held import held_by
from registry.captable.models import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """What the register says of the issue of a token.

    Parameters
    ----------
    issuer_name, issuer_country
        Of the vehicle that holds the asset; ISO 3166-1 alpha-2.
    issuer_since
        When the register recorded the vehicle for the asset.
    price_paisa : int
        Of one fraction at issue.
    """

    declared_fractions: int
    price_paisa: int
    issuer_id: UUID
    issuer_name: str
    issuer_country: str
    issuer_since: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One token at one block.

    Parameters
    ----------
    token_id
        Of its tokenization; of an adopted token one that follows from its chain and address.
    decimals
        How many places of a unit count are behind the point where the token shows one; None where
        none are, or it is not known.
    issue
        None for a token that was adopted: the register knows nothing of how it was issued.
    known_since
        Day of the first block in which the token said anything.
    known_at
        As of which moment the chain is told; None for the chain of when it was written.
    generated_at
        When the export was asked for: the same export written twice is the same file.
    """

    token_id: UUID
    symbol: str
    name: str
    address: str
    chain_id: int
    block_number: int
    block_hash: str
    mined_at: datetime
    supply_units: int
    decimals: int | None
    issue: Issue | None
    known_since: date
    known_at: datetime | None
    generated_at: datetime

    @property
    def told(self) -> list[str]:
        """The block, and what is held at it, in words of their own."""
        said = [
            f"chain eip155:{self.chain_id}, token {self.address}",
            f"block {self.block_number} {self.block_hash}, mined {self.mined_at.isoformat()}",
            f"{self.supply_units} units in circulation",
        ]
        if self.known_at is not None:
            said.append(f"as the register knew the chain at {self.known_at.isoformat()}")
        if self.issue is None:
            said.append(f"symbol {self.symbol}, name {self.name}, as the token tells them itself")
            said.append(
                "the token was adopted: the register knows neither its issuer nor its price"
            )
        if self.decimals:
            said.append(f"the token shows 10^{self.decimals} units as 1")
        return said


def utc_day(moment: datetime) -> date:
    """Return the day of a moment in UTC, of which all dates in an export are."""
    return moment.astimezone(UTC).date()


class SheetRow(NamedTuple):
    """One wallet's holding; `is_company` is None where nobody has proven the wallet."""

    wallet: str
    balance_units: int
    frozen_units: int
    is_company: bool | None


Advance = Callable[[int], None]
"""Told now and then how many rows are written."""

# Sorted, so that the same block always is the same file.
_ROWS = """
COPY (
  SELECT encode(h.address, 'hex'), x.balance_units, x.frozen_units, p.kind <> 'NATURAL'
  FROM ({held}) x JOIN holder h USING (holder_no)
  LEFT JOIN wallet w ON w.address = h.address
  LEFT JOIN investor i ON i.id = w.investor_id
  LEFT JOIN party p ON p.id = i.party_id
  ORDER BY h.address
) TO STDOUT (FORMAT binary)
"""


def stream_rows(
    session: Session, token: Token, block: AsOfBlock, checksummed: Callable[[str], str]
) -> Iterator[SheetRow]:
    """Yield who held the token at `block`, by address.

    Parameters
    ----------
    checksummed
        Writes 40 hex digits as an EIP-55 address.
    """
    query = _ROWS.format(held=held_by(token, block))
    with cursor_of(session) as cursor, cursor.copy(query.encode()) as copy:
        copy.set_types(["text", "numeric", "numeric", "bool"])
        for address, balance, frozen, is_company in copy.rows():
            yield SheetRow(checksummed(address), int(balance), int(frozen), is_company)


def count_rows(session: Session, token: Token, block: AsOfBlock) -> int:
    """Count who held the token at `block`."""
    with cursor_of(session) as cursor:
        query = f"SELECT count(*) FROM ({held_by(token, block)}) x"  # noqa: S608 - ours
        found = cursor.execute(query.encode()).fetchone()
    assert found is not None, "a count has one row"
    return int(found[0])
