"""Parties are sealed by their hashes: above all a group's members and their parts (ADR 0071).

Their triggers are put up by `registry.history.install`, after the last migration; what stands in
the table by then is sealed as it stands.
"""

from __future__ import annotations

revision = "0085"
down_revision = "0084"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing: with a migration alone are rows taken as they stand."""


def downgrade() -> None:
    """Leave the triggers: what they seal verifies as it did, and is held to again one day."""
