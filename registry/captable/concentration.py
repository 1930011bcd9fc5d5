"""How a token is spread over its holders: the figures that a regulator asks for, exact.

Shares are fractions of what is held at the block, never of what was declared. The Herfindahl
index is the sum of the squares of the shares; the Gini coefficient is half the mean difference
between two holders, relative to the mean. Both are fractions in lowest terms: whoever needs a
decimal rounds it themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.held import held_by
from registry.captable.models import Token

TOP = (1, 5, 10, 20, 50, 100)
"""How many of the largest holders are looked at together."""


class HolderKind(StrEnum):
    """Who counts as one holder."""

    WALLET = "wallet"
    PARTY = "party"


@dataclass(frozen=True, slots=True)
class TopHolders:
    """The largest holders together; fewer where there are no more."""

    holders: int
    units: int
    share: Fraction


@dataclass(frozen=True, slots=True)
class SizeBand:
    """Holders of at least `from_units` and less than ten times as many."""

    from_units: int
    holders: int
    units: int


@dataclass(frozen=True, slots=True)
class Concentration:
    """How the units of a token are spread; without holders every figure is zero."""

    holders: int
    units: int
    herfindahl: Fraction
    gini: Fraction
    top: Sequence[TopHolders]
    sizes: Sequence[SizeBand]


# A wallet that no investor has proven is somebody of its own.
_OF_PARTIES = """
LEFT JOIN holder h USING (holder_no)
LEFT JOIN wallet w ON w.address = h.address
LEFT JOIN investor i ON i.id = w.investor_id
GROUP BY coalesce(i.party_id::text, x.holder_no::text)
"""
_OF_WALLETS = "GROUP BY x.holder_no"
_FIGURES = """
WITH owners AS (SELECT sum(x.balance_units) AS units FROM ({held}) x {grouping}),
ranked AS MATERIALIZED (SELECT units, row_number() OVER (ORDER BY units DESC) AS rank FROM owners)
SELECT count(*), coalesce(sum(units), 0), coalesce(sum(units * units), 0),
  coalesce(sum(units * rank), 0),
  (SELECT coalesce(jsonb_agg(jsonb_build_array(digits, holders, units::text) ORDER BY digits), '[]')
   FROM (SELECT length(units::text) AS digits, count(*) AS holders, sum(units) AS units
         FROM ranked GROUP BY 1) bands),
  {tops}
FROM ranked
"""
_TOPS = ", ".join(f"coalesce(sum(units) FILTER (WHERE rank <= {many}), 0)" for many in TOP)


def concentration_at(
    session: Session, token: Token, block: AsOfBlock, by: HolderKind
) -> Concentration:
    """Reckon how a token is spread at a block.

    Parameters
    ----------
    by
        By party, all wallets of one party are one holder, as they are known to belong today.
    """
    grouping = _OF_PARTIES if by == HolderKind.PARTY else _OF_WALLETS
    query = _FIGURES.format(held=held_by(token, block), grouping=grouping, tops=_TOPS)
    with cursor_of(session) as cursor:
        row = cursor.execute(query.encode()).fetchone()
    assert row is not None, "an aggregate has one row"
    holders, total, squares, ranked, bands = row[0], int(row[1]), int(row[2]), int(row[3]), row[4]
    if not total:
        return Concentration(0, 0, Fraction(0), Fraction(0), (), ())
    return Concentration(
        holders=holders,
        units=total,
        herfindahl=Fraction(squares, total * total),
        # Ranked from the largest down: sum(rank x units) is smallest where one holds all.
        gini=Fraction((holders + 1) * total - 2 * ranked, holders * total),
        top=[
            TopHolders(min(many, holders), int(units), Fraction(int(units), total))
            for many, units in zip(TOP, row[5:], strict=True)
        ],
        sizes=[SizeBand(10 ** (digits - 1), count, int(units)) for digits, count, units in bands],
    )
