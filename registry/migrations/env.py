"""Alembic's entry: one connection, handed over by `registry.kernel.migrate`."""

from __future__ import annotations

from alembic import context

from registry.models import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
