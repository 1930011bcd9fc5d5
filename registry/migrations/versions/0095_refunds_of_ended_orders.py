"""A buyer is told once what goes back of an order that has ended, and not that they paid too much.

The notices of 0092 left out only what an order's end itself released. Of money that came after it,
both the order and the payment told.
"""

from __future__ import annotations

from alembic import op

revision = "0095"
down_revision = "0094"
branch_labels = None
depends_on = None

_TELL = """
INSERT INTO notice (id, recorded_at, principal, kind, subject_kind, subject_id, facts)
SELECT uuidv7(), now(), i.subject, 'payment.' || lower(m.kind), 'order', p.id,
  jsonb_build_object('offering_id', p.offering_id, 'amount_paisa', m.paisa::text)
FROM (
  SELECT e.subject_id, CASE e.kind WHEN 'ALLOCATION' THEN 'RECEIVED' WHEN 'RECEIPT' THEN 'RECEIVED'
      WHEN 'REVERSAL' THEN 'REVERSED' ELSE 'REFUNDED' END AS kind,
    abs(sum(n.amount_paisa)) AS paisa
  FROM new_rows n JOIN ledger_entry e ON e.id = n.entry_id
  WHERE n.account IN ('BANK', 'RUPEE_ON_CHAIN', 'UNALLOCATED') AND e.subject_kind = 'order'
    AND e.kind IN ('RECEIPT', 'ALLOCATION', 'REVERSAL', 'REFUND')
  GROUP BY e.id, e.subject_id, e.kind) m
JOIN purchase_order p ON p.id = m.subject_id JOIN investor i ON i.id = p.investor_id
UNION ALL
SELECT uuidv7(), now(), i.subject, 'payment.refund_due', 'order', p.id,
  jsonb_build_object('offering_id', p.offering_id, 'amount_paisa', m.paisa::text)
FROM (
  SELECT e.subject_id, -sum(n.amount_paisa) AS paisa
  FROM new_rows n JOIN ledger_entry e ON e.id = n.entry_id
  WHERE n.account = 'REFUND_DUE' AND e.subject_kind = 'order' AND e.kind <> 'RELEASE'
  GROUP BY e.id, e.subject_id HAVING sum(n.amount_paisa) < 0) m
JOIN purchase_order p ON p.id = m.subject_id JOIN investor i ON i.id = p.investor_id
"""
# Money changes no order that has ended into one that goes on, or the reverse: it makes no
# difference whether the new state is written before what is booked or after it.
_GOES_ON = "WHERE p.state NOT IN ('CANCELLED', 'REFUND_DUE', 'REFUNDED')"


def _replace(told: str) -> None:
    op.execute(
        "CREATE OR REPLACE FUNCTION tell_ledger_posting_insert() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$ BEGIN {told}; RETURN NULL; END $$"
    )


def upgrade() -> None:
    _replace(_TELL + _GOES_ON)


def downgrade() -> None:
    _replace(_TELL)
