"""Containing a bug to the one operation that meets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from sqlalchemy.exc import OperationalError
from structlog.contextvars import bound_contextvars

from chain.errors import ChainError

log = structlog.get_logger()


@contextmanager
def contained(operation_id: UUID, *, tx: str | None = None) -> Iterator[None]:
    """Let a fault of one operation be told, and leave the others to go on.

    A node or a database that is away concerns all of them, and is raised. Whatever is logged
    meanwhile, here or far below, names the operation and its transaction.
    """
    named = {"operation": str(operation_id)} | ({"tx": tx} if tx else {})
    with bound_contextvars(**named):
        try:
            yield
        except (ChainError, OperationalError):
            raise
        except Exception:
            log.exception("operation_fault")
