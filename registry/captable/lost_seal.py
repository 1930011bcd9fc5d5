"""Blocks that a reorg took, sealed with the journal: `known_at` is answered from them alone.

No node tells any more what they said, so what the audit cannot ask the chain it asks the journal.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import text
from sqlmodel import Session

from registry.captable import bulk
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM

TAKEN_BACK = "blocks_taken_back"
"""The act whose facts have the hash of each block that one reorg took."""
BLOCKS_AT_ONCE = 1000
"""In one act: a hundred kilobytes."""

# As the server sends the columns, which is the same whoever asks, and each of a length that it
# says itself.
_HASH = """
encode(sha256(int8send(o.chain_id) || o.hash || timestamptz_send(o.orphaned_at)
  || int8send(o.number) || timestamptz_send(o.mined_at) || timestamptz_send(o.recorded_at)
  || array_send(o.token_nos) || array_send(o.log_indexes) || array_send(o.kinds)
  || array_send(o.tx_hashes) || array_send(o.sources) || array_send(o.targets)
  || array_send(o.amounts) || array_send(o.extras) || jsonb_send(o.contract_events)), 'hex')
"""
_TAKEN = f"""
SELECT encode(o.hash, 'hex'), {_HASH}, o.orphaned_at FROM orphan_block o
WHERE o.chain_id = %(chain)s AND o.orphaned_at = now() ORDER BY o.number
"""  # noqa: S608 - no value in it
# The newest act counts: one transaction may take a block twice.
_DIFFERING = text(f"""
WITH told AS (
  SELECT DISTINCT ON (e.subject_id, at, b.key) CAST(e.subject_id AS bigint) AS chain_id,
    CAST(e.facts ->> 'orphaned_at' AS timestamptz) AS at, decode(b.key, 'hex') AS hash,
    b.value AS sha256
  FROM journal_entry e CROSS JOIN LATERAL jsonb_each_text(e.facts -> 'blocks') b
  WHERE e.act = :act
  ORDER BY e.subject_id, at, b.key, e.id DESC)
SELECT coalesce(o.chain_id, told.chain_id), encode(coalesce(o.hash, told.hash), 'hex'),
  o.hash IS NULL, told.hash IS NULL
FROM told FULL JOIN orphan_block o
  ON o.chain_id = told.chain_id AND o.hash = told.hash AND o.orphaned_at = told.at
WHERE told.sha256 IS DISTINCT FROM CASE WHEN o.hash IS NOT NULL THEN {_HASH} END
ORDER BY 1, o.number, 2
""")  # noqa: S608


def seal_taken(session: Session, chain_id: int) -> None:
    """Write into the journal what the blocks said that this transaction has taken."""
    with bulk.cursor_of(session) as cursor:
        found = cursor.execute(_TAKEN, {"chain": chain_id}).fetchall()
    for start in range(0, len(found), BLOCKS_AT_ONCE):
        some = found[start : start + BLOCKS_AT_ONCE]
        journal.record(
            session, THE_SYSTEM, TAKEN_BACK, "chain", chain_id,
            orphaned_at=some[0][2].isoformat(), blocks={block: told for block, told, _ in some},
        )  # fmt: skip


def altered(session: Session) -> Iterator[str]:
    """Find blocks that were taken back, and say something else than when they were."""
    for chain_id, block, is_gone, is_added in session.execute(_DIFFERING, {"act": TAKEN_BACK}):
        fault = "is not what the journal says was taken back"
        if is_gone or is_added:
            fault = "is gone" if is_gone else "was never taken back, as the journal tells"
        yield f"Block 0x{block} of chain {chain_id} in orphan_block {fault}"
