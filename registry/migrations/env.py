"""Alembic's entry: one connection, handed over by `registry.kernel.migrate`."""

from __future__ import annotations

from alembic import context

from registry.history import install as history
from registry.models import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, compare_type=True)
with context.begin_transaction():
    # Absent where the schema is only compared.
    target = context.config.attributes.get("target")
    before = context.get_context().get_current_heads()
    settled = target is None or (
        target == "head"
        and set(before) == set(context.script.get_heads())
        and history.is_up(connection)
    )
    if not settled:
        history.lock(connection)
        history.take_down(connection)
    context.run_migrations()
    if not settled and target == "head":
        after = context.get_context().get_current_heads()
        history.put_up(connection, is_migrated=set(after) != set(before))
