"""How far the rules have looked, as it stands in a seal that nobody makes without PII_INDEX_KEY.

Whoever moves a cursor on has what lies between never looked at. Of hits and payments the audit asks
the rules again; what those of the chain and of wallets find hangs on whose a wallet is by now. So
the rounds go by the seal of such a cursor, and not by its columns: one that was moved in SQL is put
back where they were (ADR 0071). An older seal only has them look once more.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlmodel import Session, col, select

from registry.alert.models import AlertCursor
from registry.captable.feed import Place
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.vault import Vault

log = structlog.get_logger()

NOWHERE = Place(-1, b"")
NO_ID = UUID(int=0)
CHAIN, WALLETS = "chain", "wallets"
_SEAL_BYTES = 32


@dataclass(frozen=True, slots=True)
class Reached:
    """How far one source was looked at: a chain up to a block, rows up to an id."""

    place: Place = NOWHERE
    last_id: UUID = NO_ID


def chain_source(chain_id: int) -> str:
    """Name the cursor of a chain."""
    return f"{CHAIN}:{chain_id}"


def reached(session: Session, vault: Vault | None, source: str, *, lock: bool = False) -> Reached:
    """Return how far a source was looked at, by its seal: nowhere, where there is none of ours.

    Parameters
    ----------
    vault
        None of payments and hits: their rows are believed, for the audit asks their rules again.
    """
    cursor = _find(session, source, lock=lock)
    if cursor is None:
        return Reached()
    if vault is None:
        return _standing(cursor)
    return _opened(vault, cursor) or Reached()


def move(session: Session, vault: Vault | None, source: str, to: Reached) -> None:
    """Note how far a source is looked at from now on, and tell of one that somebody else moved."""
    cursor = _find(session, source, lock=True)
    if cursor is None:
        cursor = AlertCursor(source=source)
    elif vault is not None and not _is_ours(vault, cursor):
        was = _opened(vault, cursor) or Reached()
        log.error("alert_cursor_moved", source=source)
        journal.record(
            session, THE_SYSTEM, "alert_cursor_put_back", "alert_cursor", source,
            moved_to=_told(_standing(cursor)), put_back_to=_told(was),
        )  # fmt: skip
    is_somewhere = to.place != NOWHERE
    cursor.block_number = to.place.number if is_somewhere else None
    cursor.block_hash = to.place.hash if is_somewhere else None
    cursor.last_id = None if to.last_id == NO_ID else to.last_id
    if vault is not None:
        text = _mark(source) + json.dumps(_told(to))
        cursor.sealed = vault.fingerprint(text) + text.encode()
    session.add(cursor)
    session.flush()


def is_moved(session: Session, vault: Vault, source: str) -> bool:
    """Tell whether somebody else moved a cursor that has a seal."""
    cursor = _find(session, source, lock=False)
    return cursor is not None and not _is_ours(vault, cursor)


def moved(session: Session, vault: Vault) -> Iterator[str]:
    """Find cursors that do not stand where the rounds have left them."""
    sealed = col(AlertCursor.source) == WALLETS
    sealed |= col(AlertCursor.source).startswith(f"{CHAIN}:")
    for cursor in session.exec(select(AlertCursor).where(sealed).order_by(AlertCursor.source)):
        if not _is_ours(vault, cursor):
            yield f"Row {cursor.source} of alert_cursor is not where the rounds of alerts left it"


def _find(session: Session, source: str, *, lock: bool) -> AlertCursor | None:
    return session.get(AlertCursor, source, with_for_update=lock or None, populate_existing=lock)


def _is_ours(vault: Vault, cursor: AlertCursor) -> bool:
    return _opened(vault, cursor) == _standing(cursor)


def _opened(vault: Vault, cursor: AlertCursor) -> Reached | None:
    """Read the seal; None where it is not ours, or another row's."""
    sealed = cursor.sealed or b""
    seal, text = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:].decode(errors="replace")
    mark = _mark(cursor.source)
    if not text.startswith(mark) or not hmac.compare_digest(seal, vault.fingerprint(text)):
        return None
    said = json.loads(text.removeprefix(mark))
    return Reached(Place(said["number"], bytes.fromhex(said["hash"])), UUID(said["last_id"]))


def _standing(cursor: AlertCursor) -> Reached:
    place = NOWHERE
    if cursor.block_number is not None and cursor.block_hash is not None:
        place = Place(cursor.block_number, cursor.block_hash)
    return Reached(place, cursor.last_id or NO_ID)


def _mark(source: str) -> str:
    """Give with what a seal begins, so that it is no other row's, nor of anything else."""
    return f"alert_cursor:{source}:"


def _told(to: Reached) -> dict[str, object]:
    return {
        "number": to.place.number,
        "hash": to.place.hash.hex(),
        "last_id": str(to.last_id),
    }
