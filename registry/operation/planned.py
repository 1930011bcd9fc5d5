"""What an operation is, told by the act that planned it: who instructed what, and for which record.

Reports name instruction and approver of a movement from these columns, which never change. How far
an operation has come is written many times, so that a trigger would cost each of them; the act is
written once, with whatever else the transaction tells (ADR 0071).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from uuid import UUID

from sqlalchemy import String, literal_column, text
from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.operation.models import Operation

PLANNED = "operations_planned"
"""The act whose facts have the hash of each operation that one transaction planned."""
AT_ONCE = 1000
"""Operations of one act: a hundred kilobytes."""

# The moment as a number, so that it does not hang on the time zone of who asks.
_HASH = """
encode(sha256(convert_to(jsonb_build_array(operation.id, extract(epoch FROM operation.recorded_at),
  operation.kind, operation.subject_kind, operation.subject_id, operation.requested_by,
  operation.params)::text, 'UTF8')), 'hex')
"""
HASH = literal_column(_HASH, type_=String)
"""What is told of an operation, in statements that read or write it."""

# An operation is told of once: a second act that says otherwise excuses no change.
_DIFFERING = text(f"""
WITH told AS (
  SELECT planned.key AS id, min(planned.value) AS sha256,
    min(planned.value) <> max(planned.value) AS differs
  FROM journal_entry AS e CROSS JOIN LATERAL jsonb_each_text(e.facts -> 'operations') AS planned
  WHERE e.act = :act
  GROUP BY planned.key)
SELECT coalesce(told.id, operation.id::text), operation.id IS NULL, told.id IS NULL
FROM told FULL JOIN operation ON operation.id::text = told.id
WHERE told.differs OR told.sha256 IS DISTINCT FROM
  CASE WHEN operation.id IS NOT NULL THEN {_HASH} END
ORDER BY 1
""")  # noqa: S608 - no value in it


def tell(session: Session, actor: Actor, planned: Mapping[UUID, str]) -> None:
    """Write the hashes of operations that were planned just now into the journal."""
    hashes = iter(planned.items())
    while some := dict(islice(hashes, AT_ONCE)):
        first = next(iter(some))
        told = {str(operation_id): sha256 for operation_id, sha256 in some.items()}
        journal.record(session, actor, PLANNED, "operation", first, operations=told)


def tell_of(session: Session, actor: Actor, operation: Operation) -> None:
    """Do the same of one that stands in its table already."""
    query = select(HASH).select_from(Operation).where(col(Operation.id) == operation.id)
    tell(session, actor, {operation.id: str(session.exec(query).one())})


def altered(session: Session) -> Iterator[str]:
    """Find operations that are not what was planned, that nobody planned, or that are gone."""
    for operation_id, is_gone, is_added in session.execute(_DIFFERING, {"act": PLANNED}):
        fault = "is not what the journal says was planned"
        if is_gone or is_added:
            fault = "is gone" if is_gone else "was never planned, as the journal tells"
        yield f"Row {operation_id} of operation {fault}"
