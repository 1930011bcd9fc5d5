"""What was paid for transfers: of R-11 and R-12."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

from sqlalchemy import text
from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.models import EventKind
from registry.captable.transfers import of_branch

# What was bought by the transaction: an order whose operation it carried out, alone or in a batch;
# or one whose trade somebody else settled.
_ORDERS = text("""
SELECT m.tx_hash, t.token_no, w.address, p.units, p.amount_paisa
FROM (
  SELECT x.tx_hash, p.id
  FROM operation_attempt x
  CROSS JOIN LATERAL (
    SELECT x.operation_id AS id
    UNION ALL SELECT id FROM operation WHERE batch_id = x.operation_id) o
  JOIN purchase_order p ON p.operation_id = o.id
  WHERE x.tx_hash = ANY(:hashes)
  UNION
  SELECT c.tx_hash, p.id
  FROM contract_event c
  JOIN purchase_order p ON p.trade_digest = decode(substr(c.said ->> 'digest', 3), 'hex')
  WHERE c.chain_id = :chain AND c.block_number = ANY(:blocks) AND c.event = 'Settled'
    AND c.tx_hash = ANY(:hashes)) m
JOIN purchase_order p ON p.id = m.id JOIN wallet w ON w.id = p.wallet_id
JOIN offering f ON f.id = p.offering_id JOIN tokenization z ON z.id = f.tokenization_id
JOIN token t ON t.address = z.token_address AND t.chain_id = :chain
ORDER BY p.id
""")
# All that came to their buyers by these transactions: a page may end between two of one.
_DELIVERED = f"""
SELECT e.tx_hash, e.token_no, d.address, e.log_index, e.units
FROM {{events}} e JOIN holder d ON d.holder_no = e.target
WHERE e.token_no = ANY(%(tokens)s) AND e.block_number = ANY(%(blocks)s)
  AND e.kind = {EventKind.TRANSFER:d} AND e.tx_hash = ANY(%(hashes)s)
ORDER BY e.block_number, e.log_index
"""  # noqa: S608 - a number of our own
SOLD_ABOVE = """
SELECT x.tx_hash
FROM offering f JOIN purchase_order p ON p.offering_id = f.id
JOIN operation o ON o.id = p.operation_id
JOIN operation_attempt x ON x.operation_id IN (o.id, o.batch_id)
WHERE f.kind = 'SECONDARY'
GROUP BY x.tx_hash, p.wallet_id HAVING sum(p.amount_paisa) > %(least)s
UNION ALL
SELECT c.tx_hash
FROM purchase_order p
JOIN contract_event c ON c.event = 'Settled'
  AND c.said ->> 'digest' = '0x' || encode(p.trade_digest, 'hex')
WHERE p.trade_digest IS NOT NULL AND p.amount_paisa > %(least)s
"""
"""The transactions of sales from one holder to another for more than so many paisa."""


class Movement(Protocol):
    """What is asked of a transfer to find its price."""

    @property
    def block_number(self) -> int: ...
    @property
    def log_index(self) -> int: ...
    @property
    def tx_hash(self) -> bytes: ...


class _Order(NamedTuple):
    """What one order brought, and what was paid for it."""

    units: int
    paisa: int


class _Delivery(NamedTuple):
    """One transfer to a buyer."""

    units: int
    log_index: int


_Sale = tuple[bytes, int, bytes]
"""A transaction, a token and a buyer."""


def prices_of(
    session: Session, chain_id: int, rows: Collection[Movement], until: AsOfBlock
) -> dict[tuple[bytes, int], int]:
    """Return what was paid for each of these that was a sale, by transaction and place of the log.

    Parameters
    ----------
    until
        The block of the answer, in whose branch they are.
    """
    asked = {
        "chain": chain_id,
        "blocks": sorted({row.block_number for row in rows}),
        "hashes": sorted({row.tx_hash for row in rows}),
    }
    orders: dict[_Sale, list[_Order]] = defaultdict(list)
    for tx_hash, token_no, address, units, paisa in session.execute(_ORDERS, asked):
        orders[tx_hash, token_no, address].append(_Order(int(units), int(paisa)))
    if not orders:
        return {}
    asked["hashes"] = sorted({tx_hash for tx_hash, _, _ in orders})
    prices = {}
    for sale, delivered in _deliveries(session, asked, orders, until).items():
        for log_index, paisa in _shared(orders[sale], delivered):
            prices[sale[0], log_index] = paisa
    return prices


def _deliveries(
    session: Session, asked: Mapping[str, Any], sales: Collection[_Sale], until: AsOfBlock
) -> Mapping[_Sale, Sequence[_Delivery]]:
    query, known = of_branch(_DELIVERED, until, sorted({token_no for _, token_no, _ in sales}))
    found: dict[_Sale, list[_Delivery]] = defaultdict(list)
    with cursor_of(session) as cursor:
        for *sale, log_index, units in cursor.execute(query.encode(), {**asked, **known}):
            if (key := tuple(sale)) in sales:
                found[key].append(_Delivery(int(units), log_index))
    return found


def _shared(orders: Sequence[_Order], delivered: Sequence[_Delivery]) -> Sequence[tuple[int, int]]:
    """Give each delivery what was paid for it; nothing where not what was bought has come.

    Each order is delivered by itself, so that their units are the same; whatever else adds up to
    as many has its part of the whole price, to the paisa.
    """
    whole = sum(order.units for order in orders)
    if sum(each.units for each in delivered) != whole:
        return ()
    bought, came = sorted(orders), sorted(delivered)
    if [order.units for order in bought] == [each.units for each in came]:
        return [(each.log_index, order.paisa) for order, each in zip(bought, came, strict=True)]
    paisa, ends = sum(order.paisa for order in orders), [0]
    for each in delivered:
        ends.append(ends[-1] + each.units)
    parts = [paisa * end // whole - paisa * begin // whole for begin, end in pairwise(ends)]
    return [(each.log_index, part) for each, part in zip(delivered, parts, strict=True)]
