"""Who held how much of a token at a block, as one relation of SQL that others read from."""

from __future__ import annotations

from collections.abc import Iterable

from registry.captable.amounts import ROUNDED
from registry.captable.blocks import AsOfBlock
from registry.captable.models import EventKind, Token

# Who has not changed since the block is told by `balance` alone, as in `entries.list_holders`.
HELD = """
SELECT b.holder_no,
  CASE WHEN b.block_number <= {block} THEN b.balance_units ELSE s.balance_units END
    AS balance_units,
  CASE WHEN b.block_number <= {block} THEN b.frozen_units ELSE s.frozen_units END
    AS frozen_units
FROM balance b
LEFT JOIN LATERAL (
  SELECT
    coalesce(later_balances[width_bucket({block}::int8, later_blocks)], balance_units)
      AS balance_units,
    coalesce(later_frozen[width_bucket({block}::int8, later_blocks)], frozen_units)
      AS frozen_units
  FROM balance_at
  WHERE token_no = {token} AND holder_no = b.holder_no AND block_number <= {block}
    AND b.block_number > {block}
  ORDER BY block_number DESC LIMIT 1) s ON true
WHERE b.token_no = {token}
  AND CASE WHEN b.block_number <= {block} THEN b.balance_units ELSE s.balance_units END > 0
"""

_TOLD = {"token": "%(token)s::int4", "block": "%(block)s::int8"}
_HELD_TOLD = HELD.format(**_TOLD)

# What the holder of a balance `b` had at a block (units, frozen); no row for who had nothing yet.
HELD_BY_ONE = """
SELECT coalesce(later_balances[width_bucket(%(block)s::int8, later_blocks)], balance_units)
    AS units,
  coalesce(later_frozen[width_bucket(%(block)s::int8, later_blocks)], frozen_units) AS frozen
FROM balance_at
WHERE token_no = b.token_no AND holder_no = b.holder_no AND block_number <= %(block)s
ORDER BY block_number DESC LIMIT 1
"""
# What was minted of a token `t` since a block, less what was burned: `supply.supplies_at`.
MINTED_SINCE = f"""
SELECT coalesce(sum(units) FILTER (WHERE source IS NULL), 0)
  - coalesce(sum(units) FILTER (WHERE target IS NULL), 0) AS minted
FROM token_event
WHERE token_no = t.token_no AND kind = {EventKind.TRANSFER:d} AND block_number > %(block)s
  AND (extra IS NOT NULL OR source IS NULL OR target IS NULL)
"""  # noqa: S608 - a number of our own


def held_at(token: Token, number: int) -> str:
    """Give the relation (holder_no, balance_units, frozen_units); the block must be projected."""
    # COPY takes no parameters; both are integers of our own.
    return HELD.format(block=int(number), token=int(token.token_no or 0))


# Nobody else can have had so much at any block; most who are told had it once.
_EVER_LARGE = """
SELECT holder_no FROM balance
WHERE token_no = {token} AND most_units >= %(least)s::float8 * (1 - {rounded})
"""


def ever_large(token: Token, *blocks: AsOfBlock) -> str:
    """Give the relation (holder_no) of all who may have had ``%(least)s`` units at the blocks."""
    large = _EVER_LARGE.format(token=int(token.token_no or 0), rounded=ROUNDED)
    for block in blocks:
        if block.lost is not None:
            changed = _array(block.lost.changes(token.token_no))
            large += f"UNION SELECT unnest('{changed}'::int4[])"
    return large


# Whoever first received anything in a lost block has no balance any more.
_MOVED = """
UNION ALL
SELECT l.* FROM unnest('{tokens}'::int4[], '{holders}'::int4[]) l (token_no, holder_no)
WHERE NOT EXISTS (
  SELECT FROM balance x WHERE x.token_no = l.token_no AND x.holder_no = l.holder_no)
"""


def ever_held(block: AsOfBlock | None) -> str:
    """Give the relation (token_no, holder_no) of whoever may have held anything at a block."""
    held = "SELECT token_no, holder_no FROM balance"
    if block is None or block.lost is None:
        return held
    moved = sorted(block.lost.moved())
    tokens, holders = (_array(pair[place] for pair in moved) for place in (0, 1))
    return held + _MOVED.format(tokens=tokens, holders=holders)


def doubled(units: str) -> str:
    """Write in SQL what `amounts.doubled` gives of a number of units that nobody has below zero."""
    power = f"floor(log(2, {units}) + {ROUNDED}) + 1"
    return f"CASE WHEN {units} > 0 THEN 2::float8 ^ ({power}) ELSE 0 END"


# What the lost blocks added to each holder, beside what was held at the last that is kept.
_OF_LOST = """
SELECT holder_no, sum(balance_units) AS balance_units, sum(frozen_units) AS frozen_units
FROM (
  SELECT * FROM ({held}) k UNION ALL
  SELECT * FROM unnest('{holders}'::int4[], '{balances}'::numeric[], '{frozen}'::numeric[])) u
GROUP BY holder_no HAVING sum(balance_units) > 0
"""


def held_by(token: Token, block: AsOfBlock) -> str:
    """Give the relation of `held_at` for a block that a reorg may have taken since."""
    if block.lost is None:
        return held_at(token, block.number)
    changes = block.lost.changes(token.token_no)
    return _OF_LOST.format(
        held=held_at(token, block.lost.kept),
        holders=_array(changes),
        balances=_array(balance for balance, _ in changes.values()),
        frozen=_array(frozen for _, frozen in changes.values()),
    )


def held_told(token: Token, block: AsOfBlock) -> str:
    """Give the same for a statement that is told ``%(token)s`` and ``%(block)s``.

    It is planned once for all tokens and blocks: for a few holders, or a page of them.
    """
    return _HELD_TOLD if block.lost is None else held_by(token, block)


def _array(values: Iterable[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"
