"""Sales that have ended count what their orders hold.

One that failed went on counting what was paid for in it, and one that was minted what was given back.
Nothing of either can be sold any more, but the audit holds the count against the orders. It is no part
of what is sealed of a sale, so nothing is sealed anew.
"""

from __future__ import annotations

from alembic import op

revision = "0079"
down_revision = "0078"
branch_labels = None
depends_on = None

_HELD = (
    "coalesce((SELECT sum(o.units) FROM purchase_order AS o WHERE o.offering_id = offering.id"
    " AND o.state IN ('AWAITING_PAYMENT', 'PAID', 'MINTING', 'SETTLING', 'SETTLED')), 0)"
)


def upgrade() -> None:
    op.execute(
        f"UPDATE offering SET reserved_units = {_HELD}"  # noqa: S608 - no value of anybody
        f" WHERE state IN ('FAILED', 'CLOSED') AND reserved_units <> {_HELD}"
    )


def downgrade() -> None:
    """Leave the counts right: the version before counts nothing by them."""
