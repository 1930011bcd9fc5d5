"""An order that was offered to who waited is told as such, with the time to pay for it.

The notice of 0037 was that of an order which its buyer places: who had waited for weeks was told
that their order is placed, and not until when it is theirs.
"""

from __future__ import annotations

from alembic import op

revision = "0088"
down_revision = "0085"
branch_labels = None
depends_on = None

_TELL = """
INSERT INTO notice (id, recorded_at, principal, kind, subject_kind, subject_id, facts)
"""
_FACTS = """
  jsonb_build_object('offering_id', n.offering_id, 'units', n.units::text,
    'amount_paisa', n.amount_paisa::text, 'state', n.state)
"""
_BUYER = f"""
SELECT uuidv7(), now(), i.subject, 'order.' || lower(n.state), 'order', n.id, {_FACTS}
FROM new_rows n JOIN investor i ON i.id = n.investor_id
"""  # noqa: S608 - texts of our own
_BUYER_OR_WHO_WAITED = f"""
SELECT uuidv7(), now(), i.subject,
  CASE WHEN n.waiting_entry_id IS NULL THEN 'order.' || lower(n.state) ELSE 'order.offered' END,
  'order', n.id, {_FACTS} || jsonb_strip_nulls(jsonb_build_object(
    'pay_until', n.pay_until, 'waiting_entry_id', n.waiting_entry_id))
FROM new_rows n JOIN investor i ON i.id = n.investor_id
"""  # noqa: S608 - texts of our own
_ISSUER = """
UNION ALL
SELECT uuidv7(), now(), t.structured_by, 'offering.order_' || lower(n.state), 'offering', n.offering_id,
  jsonb_build_object('order_id', n.id, 'units', n.units::text,
    'amount_paisa', n.amount_paisa::text, 'state', n.state)
FROM new_rows n JOIN offering f ON f.id = n.offering_id
JOIN tokenization t ON t.id = f.tokenization_id
WHERE n.state IN ('PAID', 'SETTLED', 'REFUND_DUE')
"""


def _tell(told: str) -> None:
    op.execute(
        "CREATE OR REPLACE FUNCTION tell_purchase_order_insert() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$ BEGIN {_TELL} {told} {_ISSUER}; RETURN NULL; END $$"
    )


def upgrade() -> None:
    _tell(_BUYER_OR_WHO_WAITED)


def downgrade() -> None:
    _tell(_BUYER)
