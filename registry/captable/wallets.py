"""Who is registered for which token, folded from what identity registries said."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb
from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from registry.captable import bulk
from registry.captable.models import EventKind, RegisteredWallet
from registry.captable.suites import WALLETS

OF_WALLETS = frozenset(
    {
        EventKind.IDENTITY_REGISTERED,
        EventKind.IDENTITY_REMOVED,
        EventKind.IDENTITY_UPDATED,
        EventKind.COUNTRY_UPDATED,
    }
)


class WalletEvent(NamedTuple):
    """What an identity registry said."""

    token_no: int
    block_number: int
    kind: int
    holder_no: int | None
    extra: dict[str, Any]


def fold_wallets(session: Session, events: Iterable[WalletEvent]) -> None:
    """Fold the identity registries' events into who is registered for which token.

    Registrations that follow each other, with which a token begins by the thousand, by set.
    """
    for kind, run in groupby(events, key=attrgetter("kind")):
        if kind == EventKind.IDENTITY_REGISTERED:
            _register(session, run)
        elif kind == EventKind.CONTROL:
            for event in run:
                _replace_wallets(session, event)
        else:
            for event in run:
                _fold_wallet(session, event)


_REPLACE_WALLETS = """
INSERT INTO registered_wallet (token_no, holder_no, identity, country, block_number)
SELECT %s, h.holder_no, decode(w->>1, 'hex'), (w->>2)::int, %s
FROM jsonb_array_elements(%s) w JOIN holder h ON h.address = decode(w->>0, 'hex')
"""


def _replace_wallets(session: Session, event: WalletEvent) -> None:
    """Register those whom another storage has, and nobody else."""
    of_token = col(RegisteredWallet.token_no) == event.token_no
    session.execute(delete(RegisteredWallet).where(of_token))
    with bulk.cursor_of(session) as cursor:
        wallets = Jsonb(event.extra[WALLETS])
        cursor.execute(_REPLACE_WALLETS, [event.token_no, event.block_number, wallets])


def _register(session: Session, events: Iterable[WalletEvent]) -> None:
    rows = {
        (event.token_no, event.holder_no): {
            "token_no": event.token_no,
            "holder_no": event.holder_no,
            "identity": bytes.fromhex(event.extra["identity"]),
            "country": event.extra["country"],
            "block_number": event.block_number,
        }
        for event in events
    }
    new = insert(RegisteredWallet)
    told = {name: new.excluded[name] for name in ("identity", "country", "block_number")}
    key = (col(RegisteredWallet.token_no), col(RegisteredWallet.holder_no))
    session.connection().execute(
        new.on_conflict_do_update(index_elements=key, set_=told), list(rows.values())
    )


def _fold_wallet(session: Session, event: WalletEvent) -> None:
    if event.kind == EventKind.IDENTITY_REMOVED:
        session.execute(
            delete(RegisteredWallet).where(
                col(RegisteredWallet.token_no) == event.token_no,
                col(RegisteredWallet.holder_no) == event.holder_no,
            )
        )
    elif event.kind == EventKind.COUNTRY_UPDATED:
        key = (event.token_no, event.holder_no)
        wallet = session.get(RegisteredWallet, key, populate_existing=True)
        # Registered by another registry with the same storage, or by none: a registry may log that.
        if wallet is not None:
            wallet.country, wallet.block_number = event.extra["country"], event.block_number
            session.add(wallet)
    elif event.kind == EventKind.IDENTITY_UPDATED:
        # The log names no wallet. Where the transaction does not tell it either, every wallet of
        # the old identity has the new one.
        old, new = event.extra["old_identity"], event.extra["identity"]
        is_meant = (
            col(RegisteredWallet.identity) == bytes.fromhex(old)
            if event.holder_no is None
            else col(RegisteredWallet.holder_no) == event.holder_no
        )
        session.execute(
            update(RegisteredWallet)
            .where(col(RegisteredWallet.token_no) == event.token_no, is_meant)
            .values(identity=bytes.fromhex(new), block_number=event.block_number)
        )
    session.flush()
