"""Of which contracts a token's suite consists, folded from the events that changed it.

An event that gave a token another registry, storage or compliance is kept with the suite before
and after it; where the wallets are told by another contract since, also with everybody who was
registered there (`chain.sync.suites`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from psycopg.types.json import Jsonb
from sqlmodel import Session

from registry.captable import bulk
from registry.captable.events import ProjectedEvent, ProjectedToken
from registry.captable.models import EventKind, Token

WAS, SUITE, WALLETS, MODULES = "was", "suite", "wallets", "modules"
"""What such an event has beside what it said."""

Suite = Mapping[str, str | None]
"""Addresses in hex by the names of a token's columns."""

_STORE = """
UPDATE token SET
  identity_registry = decode(s->>'identity_registry', 'hex'),
  identity_storage = decode(s->>'identity_storage', 'hex'),
  compliance = decode(s->>'compliance', 'hex')
FROM unnest(%s::int4[], %s::jsonb[]) AS n(no, s)
WHERE token_no = no
"""
# All of these are in an index of their own.
_BEFORE = f"""
SELECT DISTINCT ON (token_no) token_no, extra->'{WAS}' FROM token_event
WHERE token_no = ANY(%s::int4[]) AND block_number > %s
  AND kind = {EventKind.CONTROL:d} AND extra ? '{WAS}'
ORDER BY token_no, block_number, log_index
"""  # noqa: S608 - names of our own


def fold_suites(
    session: Session, numbers: Mapping[bytes, int], events: Iterable[ProjectedEvent]
) -> None:
    """Store the suites that tokens have after these events."""
    found = {
        numbers[event.token]: event.extra[SUITE]
        for event in events
        if event.extra is not None and SUITE in event.extra
    }
    store_suites(session, found)


def store_suites(session: Session, found: Mapping[int, Suite]) -> None:
    """Store the suites of tokens, by their numbers."""
    if not found:
        return
    with bulk.cursor_of(session) as cursor:
        cursor.execute(_STORE, [list(found), [Jsonb(suite) for suite in found.values()]])
    bulk.forget(session, Token)


def suites_before(session: Session, tokens: Collection[int], number: int) -> dict[int, Suite]:
    """Return the suites that tokens had after a block, of those that have others now."""
    with bulk.cursor_of(session) as cursor:
        return dict(cursor.execute(_BEFORE, [list(tokens), number]).fetchall())


def suite_at(session: Session, token: Token, number: int | None) -> ProjectedToken:
    """Return the suite of a token as it was after a block, or as it is."""
    now = ProjectedToken(
        address=token.address,
        identity_registry=token.identity_registry,
        identity_storage=token.identity_storage,
        compliance=token.compliance,
        block_number=token.block_number,
    )
    assert token.token_no is not None
    if number is None:
        return now
    was = suites_before(session, [token.token_no], number).get(token.token_no)
    if was is None:
        return now
    found: dict[str, Any] = {
        name: None if text is None else bytes.fromhex(text) for name, text in was.items()
    }
    return replace(now, **found)
