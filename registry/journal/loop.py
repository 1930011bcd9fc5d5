"""Sealing in a loop of its own: no chain, no long import and no broken seal stops the others."""

from __future__ import annotations

import threading

import psycopg
import structlog
from sqlalchemy.exc import OperationalError

from registry.journal.sealer import is_anything_pending, seal_batch
from registry.kernel.db import Database
from registry.kernel.errors import RegistryError

log = structlog.get_logger()

IDLE_SECONDS = 1.0
BACKOFF_SECONDS = 5.0
BROKEN_SECONDS = 60.0
"""How often a seal that does not hold is told again, until somebody has looked into it."""


def run_sealer(database: Database, stop: threading.Event) -> None:
    """Seal what waits, batch after batch, until `stop` is set."""
    while not stop.is_set():
        pause = seal_once(database)
        if pause:
            stop.wait(pause)


def seal_once(database: Database) -> float:
    """Seal one batch; whatever goes wrong is told, and is tried again after the pause returned."""
    try:
        if not is_anything_pending(database):
            return IDLE_SECONDS
        with database.transaction() as session:
            taken = seal_batch(session)
    except RegistryError as fault:
        # Nothing is lost: what waits is sealed once the seals hold again.
        log.error("journal_not_sealed", code=fault.code, reason=fault.detail)  # noqa: TRY400
        return BROKEN_SECONDS
    except (OperationalError, psycopg.OperationalError) as fault:
        log.warning("loop_waits", loop="sealer", reason=str(fault))
        return BACKOFF_SECONDS
    except Exception:
        log.exception("loop_fault", loop="sealer")
        return BACKOFF_SECONDS
    return 0.0 if taken else IDLE_SECONDS
