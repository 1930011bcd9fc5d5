"""R-23: redemptions of a token, and what was paid, held and not claimed."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.subjects import OfToken, as_recorded
from registry.tokenization import service as tokenizations

COLUMNS = (
    Column("redemption", Kind.ID),
    Column("kind"),
    Column("state"),
    Column("record_block", Kind.COUNT),
    Column("holders", Kind.COUNT),
    Column("units", Kind.UNITS),
    Column("gross", Kind.MONEY),
    Column("costs", Kind.MONEY),
    Column("net", Kind.MONEY),
    Column("paid", Kind.MONEY),
    Column("held", Kind.MONEY),
    Column("unclaimed", Kind.MONEY),
)

_REDEMPTIONS = text("""
SELECT id, kind, state, record_block, price_paisa, funded_paisa FROM redemption
WHERE tokenization_id = :token AND id > :after ORDER BY id LIMIT :limit
""")
_PAYOUTS = """
SELECT p.redemption_id, count(*), sum(p.units), sum(p.amount_paisa),
  coalesce(sum(p.amount_paisa) FILTER (WHERE {paid}), 0),
  coalesce(sum(p.amount_paisa) FILTER (WHERE {held}), 0)
FROM redemption_payout p {acted}
WHERE p.redemption_id = ANY(:redemptions) AND p.recorded_at <= :until
GROUP BY p.redemption_id
"""
# A payout keeps only how it stands; how it stood is told by the journal. What was held at once,
# when paying began, has no entry of its own.
_ACTED = """
LEFT JOIN (
  SELECT CAST(facts ->> 'payout' AS uuid) AS payout, act FROM journal_entry
  WHERE subject_id = ANY(:names) AND recorded_at > :until
    AND act IN ('redemption_payout_paid', 'redemption_payout_held')) j ON j.payout = p.id
"""
_AS_THEY_STAND = text(_PAYOUTS.format(paid="p.state = 'PAID'", held="p.state = 'HELD'", acted=""))
_AS_THEY_STOOD = text(
    _PAYOUTS.format(
        paid="p.state = 'PAID' AND j.payout IS NULL",
        held="p.state = 'HELD' AND j.payout IS NULL",
        acted=_ACTED,
    )
)
_CHANGED = text("""
SELECT EXISTS (
  SELECT FROM journal_entry WHERE subject_id = ANY(:names) AND recorded_at > :until
    AND act IN ('redemption_payout_paid', 'redemption_payout_held'))
""")


def _rows(session: Session, question: Question[OfToken]) -> Iterator[Row]:
    tokenization = tokenizations.get_tokenization(session, question.parameters.token)
    asked = {
        "token": tokenization.id,
        "after": question.after[0] if question.after else UUID(int=0),
        "limit": question.fetch,
    }
    with as_recorded(session, question) as until:
        found = session.execute(_REDEMPTIONS, asked).all()
        ids = [row.id for row in found]
        values = {"redemptions": ids, "names": [str(item) for item in ids], "until": until}
        has_changed = session.execute(_CHANGED, values).scalar_one()
        query = _AS_THEY_STOOD if has_changed else _AS_THEY_STAND
        payouts = {row[0]: row[1:] for row in session.execute(query, values)}
    for row in found:
        holders, units, due, paid, held = payouts.get(row.id, (0, 0, 0, 0, 0))
        # All that the price pays for is allotted to holders: the register knows of no costs.
        net = row.funded_paisa
        costs = row.price_paisa - net if net else 0
        unclaimed = int(due) - int(paid) - int(held)
        yield Row(
            (str(row.id),),
            (row.id, row.kind, row.state, row.record_block, holders, units, row.price_paisa,
             costs, net, int(paid), int(held), unclaimed),
        )  # fmt: skip


REDEMPTIONS = Report(
    code="R-23",
    title="Redemption and payouts",
    title_ur="واپسی اور ادائیگیاں",
    parameters=OfToken,
    columns=COLUMNS,
    rows=_rows,
)
