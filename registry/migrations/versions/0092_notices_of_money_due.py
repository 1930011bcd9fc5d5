"""Buyers are told what is to go back to them while their order goes on, and until when to pay again.

The notices of 0037 told of money only what came, was taken back and was sent back. Who was allotted
less than they had paid for, or had paid too much, learnt of the rest when the bank sent it.
"""

from __future__ import annotations

from alembic import op

revision = "0092"
down_revision = "0091"
branch_labels = None
depends_on = None

_TELL = """
INSERT INTO notice (id, recorded_at, principal, kind, subject_kind, subject_id, facts)
"""
_FACTS = """
  jsonb_build_object('offering_id', n.offering_id, 'units', n.units::text,
    'amount_paisa', n.amount_paisa::text, 'state', n.state)
"""
_UNITS = """
  || jsonb_strip_nulls(jsonb_build_object('subscribed_units', n.subscribed_units::text,
    'allotted_units', n.allotted_units::text))
"""
_OFFERED = """
  || jsonb_strip_nulls(jsonb_build_object(
    'pay_until', n.pay_until, 'waiting_entry_id', n.waiting_entry_id))
"""
_WAITS_AGAIN = """
  || jsonb_strip_nulls(jsonb_build_object(
    'pay_until', CASE n.state WHEN 'AWAITING_PAYMENT' THEN n.pay_until END))
"""
_CHANGED = "JOIN old_rows o ON o.id = n.id AND n.state IS DISTINCT FROM o.state"
_RECEIVED = """
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
"""
# An order that ends is told as such.
_DUE = """
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


def _order(kind: str, facts: str, changed: str = "") -> str:
    return f"""
SELECT uuidv7(), now(), i.subject, {kind}, 'order', n.id, {facts}
FROM new_rows n JOIN investor i ON i.id = n.investor_id {changed}
UNION ALL
SELECT uuidv7(), now(), t.structured_by, 'offering.order_' || lower(n.state), 'offering', n.offering_id,
  jsonb_build_object('order_id', n.id, 'units', n.units::text,
    'amount_paisa', n.amount_paisa::text, 'state', n.state)
FROM new_rows n JOIN offering f ON f.id = n.offering_id
JOIN tokenization t ON t.id = f.tokenization_id {changed}
WHERE n.state IN ('PAID', 'SETTLED', 'REFUND_DUE')
"""  # noqa: S608 - texts of our own


_STATE = "'order.' || lower(n.state)"
_STATE_OR_OFFERED = f"CASE WHEN n.waiting_entry_id IS NULL THEN {_STATE} ELSE 'order.offered' END"


def _replace(name: str, told: str) -> None:
    op.execute(
        f"CREATE OR REPLACE FUNCTION tell_{name}() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$ BEGIN {_TELL} {told}; RETURN NULL; END $$"
    )


def upgrade() -> None:
    _replace("purchase_order_insert", _order(_STATE_OR_OFFERED, _FACTS + _UNITS + _OFFERED))
    _replace("purchase_order_update", _order(_STATE, _FACTS + _UNITS + _WAITS_AGAIN, _CHANGED))
    _replace("ledger_posting_insert", _RECEIVED + _DUE)


def downgrade() -> None:
    _replace("purchase_order_insert", _order(_STATE_OR_OFFERED, _FACTS + _OFFERED))
    _replace("purchase_order_update", _order(_STATE, _FACTS, _CHANGED))
    _replace("ledger_posting_insert", _RECEIVED)
