"""R-13: who paid so much on one day that the Financial Monitoring Unit is told of it (CTR)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session

from registry.investor.service import find_own_party
from registry.kernel.clock import SEAT, day_of
from registry.kernel.errors import Invalid
from registry.policy.models import PolicyName
from registry.policy.service import policy_on
from registry.report.people import cnic_column, name_column, people_of
from registry.report.report import Column, Kind, Parameters, Question, Report, Row
from registry.report.subjects import as_recorded


class OfDay(Parameters):
    """Which day, at the register's seat."""

    day: Annotated[date, Field(description="At the register's seat, Pakistan Standard Time")]


COLUMNS = (
    Column("day", Kind.DATE),
    Column("party", Kind.ID),
    name_column("customer"),
    cnic_column(),
    Column("cash_total", Kind.MONEY),
    Column("transactions", Kind.COUNT),
    Column("filing_state"),
    Column("filed_reference"),
    Column("threshold", Kind.MONEY),
)

# Of the rails that the policy names; what the bank took back was not paid.
# Payments of one day are few, whatever there ever was; of
# those who paid, nearly all paid less, and are not asked who they are. What was identified after
# its day was filed is in a further report, or in none yet: then nothing is said of the state. Of
# themselves nobody reads it, as nobody reads the report that is filed.
_PAID = """
SELECT i.party_id, p.total, p.payments, f.filed_reference,
  CASE WHEN f.state IS NOT NULL AND NOT EXISTS (
    SELECT FROM payment m JOIN purchase_order o ON o.id = m.order_id
    WHERE o.investor_id = p.investor_id
      AND m.received_at >= :begins AND m.received_at < :ends AND m.received_at <= :until
      AND m.rail = ANY(:rails) AND {paid} AND NOT EXISTS (
        SELECT FROM ctr_filing c WHERE c.party_id = i.party_id AND c.day = :day
          AND c.state <> 'WITHDRAWN' AND c.payment_ids @> to_jsonb(m.id::text))
  ) THEN f.state END AS state
FROM (
  SELECT o.investor_id, sum(m.amount_paisa) AS total, count(*) AS payments
  FROM payment m JOIN purchase_order o ON o.id = m.order_id
  WHERE m.received_at >= :begins AND m.received_at < :ends AND m.received_at <= :until
    AND m.rail = ANY(:rails) AND {paid}
  GROUP BY o.investor_id HAVING sum(m.amount_paisa) >= :least
) p
JOIN investor i ON i.id = p.investor_id
LEFT JOIN LATERAL (
  SELECT (array_agg(c.state ORDER BY c.id DESC))[1] AS state,
    string_agg(c.filed_reference, ', ' ORDER BY c.id) AS filed_reference
  FROM ctr_filing c
  WHERE c.party_id = i.party_id AND c.day = :day AND c.state <> 'WITHDRAWN'
) f ON true
WHERE i.party_id > :after AND (CAST(:own AS uuid) IS NULL OR i.party_id <> :own)
ORDER BY i.party_id LIMIT :limit
"""
# All that is asked of a payment now stands in one index.
_PAID_NOW = text(_PAID.format(paid="m.state = 'ALLOCATED'"))
# Whose it is may have been said later than it came: the ledger has the moment.
_PAID_THEN = text(
    _PAID.format(
        paid="""m.recorded_at <= :until AND (m.state = 'ALLOCATED' OR EXISTS (
      SELECT FROM payment_reversal r WHERE r.payment_id = m.id AND r.recorded_at > :until))
      AND EXISTS (
        SELECT FROM ledger_entry e
        WHERE e.key IN ('receipt:' || m.id, 'allocation:' || m.id)
          AND e.subject_id = m.order_id AND e.recorded_at <= :until)"""
    )
)


def _rows(session: Session, question: Question[OfDay]) -> Iterator[Row]:
    day = question.parameters.day
    if day > day_of(question.moment):
        raise Invalid("report_day_in_future", f"{day} has not begun.", field="day")
    # The threshold of the day on which it was paid.
    policy = policy_on(session, PolicyName.CTR, day)
    least = int(policy.value)
    begins = datetime.combine(day, time(), SEAT)
    asked = {
        "day": day, "begins": begins, "ends": begins + timedelta(days=1),
        "least": least, "limit": question.fetch, "rails": list(policy.rails),
        "after": question.after[0] if question.after else UUID(int=0),
        "own": find_own_party(session, question.reader),
    }  # fmt: skip
    with as_recorded(session, question) as until:
        paid = _PAID_NOW if question.is_of_now else _PAID_THEN
        found = session.execute(paid, asked | {"until": until}).all()
    people = people_of(session, question, {row.party_id for row in found})
    for party_id, total, payments, reference, state in found:
        person = people[party_id]
        yield Row(
            (str(party_id),),
            (
                day,
                party_id,
                person.name,
                person.cnic,
                int(total),
                payments,
                state,
                reference,
                least,
            ),
        )


CTR_CANDIDATES = Report(
    code="R-13",
    title="Currency transaction candidates",
    title_ur="نقد لین دین کی رپورٹ کے امیدوار",
    parameters=OfDay,
    columns=COLUMNS,
    rows=_rows,
)
