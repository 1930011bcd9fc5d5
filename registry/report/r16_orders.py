"""R-16: orders of courts and of the state, from receipt to force to lifting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import Row as Found
from sqlalchemy import text
from sqlmodel import Session

from registry.court_order.models import CourtOrderState
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.report import Parameters as Asked
from registry.report.subjects import as_recorded


class Parameters(Asked):
    """Which orders."""

    state: Annotated[CourtOrderState | None, Field(description="As it was at `as_of`")] = None
    authority: Annotated[
        str | None, Field(max_length=200, description="Who issued it, in full")
    ] = None


COLUMNS = (
    Column("order", Kind.ID),
    Column("case_no"),
    Column("authority"),
    Column("scope"),
    Column("kind"),
    Column("state"),
    Column("asset", Kind.ID),
    Column("party", Kind.ID),
    Column("wallet", Kind.ADDRESS),
    Column("received", Kind.TIME),
    Column("applied", Kind.TIME, says="When the register first obeyed it"),
    Column(
        "in_force",
        Kind.TIME,
        says="When the chain first showed it; it binds since then, also while a variation waits",
    ),
    Column(
        "minutes_to_apply",
        Kind.COUNT,
        says="From `received` to `in_force`, of the order as it came in: no variation changes it",
    ),
    Column("tx", Kind.HASH),
    Column("amount", Kind.UNITS),
    Column("lifted", Kind.TIME),
    Column("varied", Kind.TIME, says="When its last variation was recorded"),
    Column(
        "variation_in_force",
        Kind.TIME,
        says="When the chain showed the order as it was varied last, also what it binds more;"
        " nothing while that waits",
    ),
)

_ORDERS = text("""
SELECT id, case_no, authority, scope, kind, state, asset_id, party_id, wallet,
  received_at, applied_at, in_force_at, amount_units, lifted_at, pause_wanted
FROM court_order
WHERE id > :after AND (CAST(:state AS text) IS NULL OR state = :state)
  AND (CAST(:authority AS text) IS NULL OR authority = :authority)
ORDER BY id LIMIT :limit
""")
# A variation, and when it is obeyed, is told by the journal: the order keeps its first times. By
# time first: by id alone the server may walk all of it.
_VARIED = text("""
SELECT o.id, v.recorded_at, c.recorded_at
FROM unnest(CAST(:orders AS uuid[])) AS o(id)
CROSS JOIN LATERAL (
  SELECT id, recorded_at FROM journal_entry
  WHERE subject_id = o.id::text AND subject_kind = 'court_order' AND act = 'court_order_vary'
    AND recorded_at <= :until
  ORDER BY recorded_at DESC, id DESC LIMIT 1) v
LEFT JOIN LATERAL (
  SELECT recorded_at FROM journal_entry
  WHERE subject_id = o.id::text AND subject_kind = 'court_order' AND act = 'court_order_confirmed'
    AND (recorded_at, id) > (v.recorded_at, v.id) AND recorded_at <= :until
  ORDER BY recorded_at, id LIMIT 1) c ON true
""")
# What a case under the order had done on chain first, alone or carried by a batch. What it took
# over from another case that one had done: it counts where there is nothing else.
_BY_CASE = text("""
SELECT DISTINCT ON (c.order_id) c.order_id, x.tx_hash
FROM legal_case c JOIN case_act a ON a.case_id = c.id AND a.lift_id IS NULL
JOIN operation o ON o.id = a.operation_id
JOIN operation_attempt x ON x.operation_id = coalesce(o.batch_id, o.id)
LEFT JOIN chain_block b ON b.chain_id = :chain AND b.number = x.block_number
WHERE c.order_id = ANY(:orders) AND x.block_number IS NOT NULL
  AND (b.mined_at IS NULL OR CAST(:until AS timestamptz) IS NULL OR b.mined_at <= :until)
ORDER BY c.order_id, o.subject_id = CAST(c.id AS text) DESC, x.block_number, a.number
""")
# An order on an asset pauses its live token, or finds it paused. Which pause that is our clock
# tells, for a chain's may lag: the first until the order was in force, or the last before it, since
# when nothing opened the token.
_BY_PAUSE = text("""
SELECT o.id, p.tx_hash
FROM unnest(CAST(:orders AS uuid[]), CAST(:assets AS uuid[]), CAST(:times AS timestamptz[]),
    CAST(:ends AS timestamptz[])) AS o(id, asset_id, applied_at, ended_at)
CROSS JOIN LATERAL (
  SELECT CAST(id AS text) AS id FROM tokenization
  WHERE asset_id = o.asset_id AND recorded_at <= o.applied_at ORDER BY id DESC LIMIT 1) z
CROSS JOIN LATERAL (
  SELECT x.tx_hash FROM operation w
  JOIN operation_attempt x ON x.operation_id = w.id
  LEFT JOIN chain_block b ON b.chain_id = :chain AND b.number = x.block_number
  WHERE w.subject_id = z.id AND w.kind = 'pause' AND w.state IN ('mined', 'final')
    AND (o.ended_at IS NULL OR w.recorded_at <= o.ended_at)
    AND (w.recorded_at >= o.applied_at OR NOT EXISTS (
      SELECT FROM operation u
      WHERE u.subject_id = z.id AND u.kind = 'unpause' AND u.state IN ('mined', 'final')
        AND u.recorded_at BETWEEN w.recorded_at AND o.applied_at))
    AND x.block_number IS NOT NULL
    AND (b.mined_at IS NULL OR CAST(:until AS timestamptz) IS NULL OR b.mined_at <= :until)
  ORDER BY w.recorded_at >= o.applied_at DESC,
    CASE WHEN w.recorded_at >= o.applied_at THEN w.id END, w.id DESC LIMIT 1) p
""")


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    asked = {
        "after": question.after[0] if question.after else UUID(int=0),
        "state": question.parameters.state,
        "authority": question.parameters.authority,
        "limit": question.fetch,
    }
    with as_recorded(session, question) as until:
        found = session.execute(_ORDERS, asked).all()
        # A chain's clock may be ahead of ours: of now, all that it has done is told.
        latest = None if question.is_of_now else until
        hashes = _hashes(session, found, {"chain": question.chain_id, "until": latest})
        varied = _varied(session, found, until)
    for row in found:
        if row.party_id is not None:
            question.parties.add(row.party_id)
        minutes = (
            (row.in_force_at - row.received_at) // timedelta(minutes=1)
            if (row.in_force_at)
            else None
        )
        yield Row(
            (str(row.id),),
            (*row[:12], minutes, hashes.get(row.id), row.amount_units, row.lifted_at,
             *varied.get(row.id, (None, None))),
        )  # fmt: skip


def _varied(
    session: Session, found: Sequence[Found[Any]], until: datetime
) -> Mapping[UUID, tuple[datetime, datetime | None]]:
    """Return when each order was varied last, and when that was in force."""
    asked = {"orders": [row.id for row in found if row.applied_at is not None], "until": until}
    return {order_id: (at, obeyed) for order_id, at, obeyed in session.execute(_VARIED, asked)}


def _hashes(
    session: Session, found: Sequence[Found[Any]], known: Mapping[str, object]
) -> Mapping[UUID, bytes]:
    """Return the transaction by which each order had come onto the chain."""
    cases = session.execute(_BY_CASE, {"orders": [row.id for row in found], **known})
    paused = [row for row in found if row.pause_wanted and row.applied_at is not None]
    pauses = session.execute(
        _BY_PAUSE,
        {
            "orders": [row.id for row in paused],
            "assets": [row.asset_id for row in paused],
            "times": [row.applied_at for row in paused],
            "ends": [row.in_force_at or row.lifted_at for row in paused],
            **known,
        },
    )
    return {order_id: bytes(tx_hash) for rows in (pauses, cases) for order_id, tx_hash in rows}


COURT_ORDERS = Report(
    code="R-16",
    title="Freeze and court orders",
    title_ur="انجماد اور عدالتی احکامات",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
)
