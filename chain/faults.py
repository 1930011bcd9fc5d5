"""Containing a bug to the one operation that meets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from sqlalchemy.exc import OperationalError

from chain.errors import ChainError

log = structlog.get_logger()


@contextmanager
def contained(operation_id: UUID) -> Iterator[None]:
    """Let a fault of one operation be told, and leave the others to go on.

    A node or a database that is away concerns all of them, and is raised.
    """
    try:
        yield
    except (ChainError, OperationalError):
        raise
    except Exception:
        log.exception("operation_fault", operation=str(operation_id))
