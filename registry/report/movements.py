"""Movements of tokens in a period, with who instructed each: what R-10 and R-11 share."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field
from sqlalchemy import text
from sqlmodel import Session

from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.models import Token
from registry.captable.transfers import TransferFilter, TransferNature, TransferRow, list_transfers
from registry.report.report import Parameters

AT_ONCE = 1_000
Since = Annotated[
    AwareDatetime | None, Field(description="The beginning of the period; it ends at `as_of`")
]


class InPeriod(Parameters):
    """From when on; the period ends at `as_of`."""

    since: Since = None


def movements(
    session: Session,
    token: Token,
    asked: InPeriod,
    until: AsOfBlock,
    *,
    natures: Collection[TransferNature] = (),
    after: tuple[int, int] | None = None,
    at_once: int = AT_ONCE,
) -> Iterator[list[TransferRow]]:
    """Yield the transfers of a token in the order of the chain, some at once."""
    wanted = TransferFilter(
        natures=natures,
        since=captable.first_block_since(session, token.chain_id, asked.since),
        until=until,
    )
    while some := list_transfers(session, token, wanted, after=after, limit=at_once):
        yield some
        after = (some[-1].block_number, some[-1].log_index)
        if len(some) < at_once:
            return


@dataclass(frozen=True, slots=True)
class Instruction:
    """What the register wanted, whose transaction it was, and who stands behind it."""

    operation_id: UUID
    kind: str
    requested_by: str


_INSTRUCTIONS = text("""
SELECT x.tx_hash, o.id, o.kind, o.requested_by
FROM operation_attempt x JOIN operation o ON o.id = x.operation_id WHERE x.tx_hash = ANY(:hashes)
""")

# What was bought by the transaction: an order whose operation it carried out, alone or in a batch,
# or whose trade the Settlement carried out in it, whoever sent that.
_PRICES = text("""
SELECT b.tx_hash, w.address, p.units, p.amount_paisa
FROM (
  SELECT x.tx_hash, p.id
  FROM operation_attempt x
  CROSS JOIN LATERAL (
    SELECT x.operation_id AS id
    UNION ALL SELECT id FROM operation WHERE batch_id = x.operation_id) o
  JOIN purchase_order p ON p.operation_id = o.id
  WHERE x.tx_hash = ANY(:hashes) AND p.rail <> 'onchain_rupee'
  UNION ALL
  SELECT e.tx_hash, p.id
  FROM contract_event e
  JOIN purchase_order p ON p.trade_digest = decode(substr(e.said ->> 'digest', 3), 'hex')
  WHERE e.event = 'Settled' AND e.tx_hash = ANY(:hashes)) b
JOIN purchase_order p ON p.id = b.id JOIN wallet w ON w.id = p.wallet_id
""")

# A redemption burns under its own id, as a case acts under its own.
_CASES = text("""
SELECT id, ARRAY[maker, approved_by] FROM legal_case WHERE id = ANY(:cases)
UNION ALL
SELECT r.id, array_prepend(r.maker, ARRAY(
  SELECT person FROM approval
  WHERE subject_kind = 'redemption' AND subject_id = r.id AND voided_at IS NULL ORDER BY id))
FROM redemption r WHERE r.id = ANY(:cases)
""")


def instructions_of(session: Session, rows: Collection[TransferRow]) -> dict[bytes, Instruction]:
    """Return the operations whose transactions these were, by transaction."""
    found = session.execute(_INSTRUCTIONS, {"hashes": [row.tx_hash for row in rows]})
    return {row[0]: Instruction(*row[1:]) for row in found}


def people_of_cases(session: Session, rows: Collection[TransferRow]) -> dict[UUID, list[str]]:
    """Return who opened and who approved the cases, or redemptions, under which these were."""
    cases = [row.case_id for row in rows if row.case_id is not None]
    found = session.execute(_CASES, {"cases": cases}) if cases else ()
    return {case_id: [name for name in names if name] for case_id, names in found}


def prices_of(session: Session, rows: Collection[TransferRow]) -> dict[tuple[bytes, bytes], int]:
    """Return what was paid for each of these that was a sale, by transaction and buyer."""
    found = session.execute(_PRICES, {"hashes": [row.tx_hash for row in rows]}).all()
    paid: dict[tuple[bytes, bytes], tuple[int, int]] = {}
    for tx_hash, address, units, amount in found:
        had = paid.get((tx_hash, address), (0, 0))
        paid[tx_hash, address] = (had[0] + units, had[1] + amount)
    moved = {(row.tx_hash, row.target): row.units for row in rows}
    return {key: amount for key, (units, amount) in paid.items() if moved.get(key) == units}
