"""R-15: who looks like a name on the list of sanctions, what was decided, and what is frozen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session

from registry.captable.bulk import cursor_of
from registry.captable.frozen import FROZEN_WHOLE
from registry.captable.held import HELD_BY_ONE, ever_held
from registry.investor.service import find_own_party
from registry.report.people import name_column, people_of
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.report import Parameters as Asked
from registry.report.subjects import as_recorded
from registry.report.unread import require_followed


class Parameters(Asked):
    """By which edition."""

    list_version: Annotated[
        UUID | None, Field(description="The id of an edition; without it, hits of all of them")
    ] = None


COLUMNS = (
    Column("hit", Kind.ID),
    Column("party", Kind.ID),
    name_column("name"),
    Column("list_version", Kind.ID),
    Column("reference"),
    Column("score", Kind.COUNT),
    Column("found", Kind.TIME),
    Column("decision"),
    Column("decided_by"),
    Column("decided_at", Kind.TIME),
    Column("frozen_value", Kind.MONEY),
    Column("reported_at", Kind.TIME),
)

# A hit keeps only how it stands; what was decided by then is told by the journal. Before that, and
# once it is open again, nothing is decided, whoever recommended what.
# One that stands over several editions, which say the same of the person, is of each of them.
# Of themselves nobody reads it.
# By time first: by id alone the server may walk the whole journal from its end.
_HITS = text("""
SELECT h.id, h.party_id, coalesce(CAST(:list AS uuid), e.list_id) AS list_id, h.reference,
  h.score, h.recorded_at,
  coalesce(j.state, 'OPEN') AS decision,
  CASE WHEN j.state <> 'OPEN' THEN j.actor END AS checker,
  CASE WHEN j.state <> 'OPEN' THEN j.recorded_at END AS decided_at
FROM sanctions_hit h JOIN sanctions_entry e ON e.id = h.entry_id
LEFT JOIN LATERAL (
  SELECT facts ->> 'state' AS state, actor, recorded_at FROM journal_entry
  WHERE subject_id = h.id::text AND recorded_at <= :until
    AND act IN ('sanctions_hit_confirmed', 'sanctions_hit_reopened')
  ORDER BY recorded_at DESC, id DESC LIMIT 1) j ON true
WHERE h.id > :after AND h.recorded_at <= :until
  AND (CAST(:own AS uuid) IS NULL OR h.party_id <> :own)
  AND (CAST(:list AS uuid) IS NULL OR EXISTS (
    SELECT FROM sanctions_entry n WHERE n.list_id = :list
      AND n.reference = e.reference AND n.entry_sha256 = e.entry_sha256))
ORDER BY h.id LIMIT :limit
""")
# What was filed before a hit was found was filed for another reason.
_REPORTED = text("""
SELECT h.id, min(c.decided_at) FROM sanctions_hit h
JOIN str_case c ON c.party_id = h.party_id AND c.decided_at >= h.recorded_at
WHERE h.id = ANY(:hits) AND c.state = 'FILED' AND NOT EXISTS (
  SELECT FROM investor i WHERE i.party_id = c.party_id AND i.subject = :reader)
GROUP BY h.id
""")
_WALLETS = text("""
SELECT w.address FROM investor i JOIN wallet w ON w.investor_id = i.id
WHERE i.party_id = ANY(:parties)
""")
# Of each wallet of these parties: whether the address is frozen at the block, and what it has.
_FROZEN = f"""
SELECT i.party_id, z.price_paisa, b.token_no, b.holder_no,
  coalesce(held.units, 0), coalesce(held.frozen, 0), coalesce(stopped.whole, false)
FROM investor i JOIN wallet w ON w.investor_id = i.id
JOIN holder h ON h.address = w.address
JOIN ({{held}}) b ON b.holder_no = h.holder_no
JOIN token t ON t.token_no = b.token_no AND t.chain_id = %(chain)s
JOIN tokenization z ON z.token_address = t.address
LEFT JOIN LATERAL ({HELD_BY_ONE}) held ON true
LEFT JOIN LATERAL ({FROZEN_WHOLE}) stopped ON true
WHERE i.party_id = ANY(%(parties)s)
"""  # noqa: S608 - no value in it


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    asked = {
        "after": question.after[0] if question.after else UUID(int=0),
        "until": min(question.moment, question.known_at),
        "list": question.parameters.list_version,
        "own": find_own_party(session, question.reader),
        "limit": question.fetch,
    }
    found = session.execute(_HITS, asked).all()
    parties = {row.party_id for row in found}
    reported = _reported(session, question, [row.id for row in found])
    frozen = _frozen(session, question, parties)
    people = people_of(session, question, parties)
    for row in found:
        who = row.party_id
        yield Row(
            (str(row.id),),
            (row.id, who, people[who].name, *row[2:], frozen.get(who, 0), reported.get(row.id)),
        )


def _reported(
    session: Session, question: Question[Any], hits: Sequence[UUID]
) -> Mapping[UUID, datetime]:
    """Return when a suspicion was reported after each hit; nothing to whom it may not be told."""
    if not question.tells_suspicions:
        return {}
    with as_recorded(session, question):
        found = session.execute(_REPORTED, {"hits": list(hits), "reader": question.reader})
        return {hit_id: moment for hit_id, moment in found}  # noqa: C416 - rows are no pairs to mypy


def _frozen(
    session: Session, question: Question[Any], parties: Collection[UUID]
) -> Mapping[UUID, int]:
    """Return what of each party's fractions cannot move at the block, at the price of issue."""
    block = question.block
    wallets = session.execute(_WALLETS, {"parties": list(parties)}).scalars().all()
    if block is None or not wallets:
        return {}
    require_followed(session, question, wallets)
    values = {"chain": question.chain_id, "block": block.kept, "parties": list(parties)}
    query = _FROZEN.format(held=ever_held(block)).encode()
    with cursor_of(session) as cursor:
        found = cursor.execute(query, values).fetchall()
    lost = {}
    if block.lost is not None:
        for number in {row[2] for row in found}:
            lost[number] = (block.lost.changes(number), block.lost.freezes(number))
    worth: Counter[UUID] = Counter()
    for party_id, price_paisa, token_no, holder_no, *kept in found:
        changes, freezes = lost.get(token_no, ({}, {}))
        more_units, more_locked = changes.get(holder_no, (0, 0))
        is_whole = freezes.get(holder_no, kept[2])
        frozen = int(kept[0]) + more_units if is_whole else int(kept[1]) + more_locked
        worth[party_id] += price_paisa * frozen
    return worth


SCREENING = Report(
    code="R-15",
    title="Proscribed-person screening",
    title_ur="کالعدم افراد کی جانچ",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
    speaks_of_chain=True,
    counts_holders=True,
)
