"""Use cases on custodial wallets: asked for, and recorded once their key is made.

The row comes first and gives the key its name. Whoever makes keys may therefore be killed at any
moment: the next one finds the key by that name, or makes it (ADR 0049).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from registry.investor.models import CustodialKey, Wallet, WalletState
from registry.investor.service import get_investor, get_investor_of
from registry.investor.wallets import link_if_due, refuse_too_many
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.kernel.rows import get_row
from registry.kernel.waking import wake

WAKE_CHANNEL = "milkiyat_custody"
"""Notified when a key is to be made."""


def request_wallet(session: Session, actor: Actor, chain_id: int) -> CustodialKey:
    """Ask for the caller's custodial wallet on a chain; who asks again gets the same one.

    Raises
    ------
    NotFound
        They are not enrolled.
    Conflict
        ``too_many_wallets``.
    """
    # Locked: of two requests at one moment the second finds what the first wrote.
    found = get_investor_of(session, actor.subject)
    investor = get_investor(session, found.id, lock=True)
    key = find_live(session, investor.id, chain_id)
    if key is not None:
        return key
    refuse_too_many(session, investor.id, custodial=True)
    key = CustodialKey(investor_id=investor.id, chain_id=chain_id)
    session.add(key)
    session.flush()
    wake(session, WAKE_CHANNEL)
    journal.record(
        session, actor, "custodial_wallet_requested", "investor", investor.id, chain_id=chain_id
    )
    return key


def find_live(session: Session, investor_id: UUID, chain_id: int) -> CustodialKey | None:
    """Return the key of an investor's custodial wallet that was not given up."""
    return session.exec(
        select(CustodialKey).where(
            col(CustodialKey.investor_id) == investor_id,
            col(CustodialKey.chain_id) == chain_id,
            col(CustodialKey.ended_at).is_(None),
        )
    ).first()


def list_own(session: Session, actor: Actor) -> Sequence[CustodialKey]:
    """List the keys of the caller's custodial wallets, oldest first.

    Raises
    ------
    NotFound
        They are not enrolled.
    """
    found = get_investor_of(session, actor.subject)
    return session.exec(
        select(CustodialKey)
        .where(col(CustodialKey.investor_id) == found.id)
        .order_by(col(CustodialKey.id))
    ).all()


def list_unmade(session: Session, chain_id: int, *, limit: int) -> Sequence[UUID]:
    """List keys that are yet to be made, oldest first."""
    return session.exec(
        select(CustodialKey.id)
        .where(col(CustodialKey.chain_id) == chain_id, col(CustodialKey.key_uri).is_(None))
        .order_by(col(CustodialKey.id))
        .limit(limit)
    ).all()


def record_key(session: Session, key_id: UUID, *, key_uri: str, address: bytes) -> Wallet:
    """Record the key that was made under the name of `key_id`, and its wallet; once.

    Parameters
    ----------
    address
        20 bytes.
    """
    key = get_row(session, CustodialKey, key_id, kind="custodial_key", lock=True)
    if key.wallet_id is not None:
        wallet = session.get_one(Wallet, key.wallet_id)
        assert (key.key_uri, wallet.address) == (key_uri, address), "one key has one name"
        return wallet
    moment = now()
    wallet = Wallet(
        investor_id=key.investor_id,
        address=address,
        state=WalletState.PROVEN,
        is_custodial=True,
        proven_at=moment,
    )
    session.add(wallet)
    session.flush()
    key.wallet_id, key.key_uri, key.made_at = wallet.id, key_uri, moment
    session.add(key)
    session.flush()
    journal.record(
        session, THE_SYSTEM, "custodial_wallet_made", "investor", key.investor_id,
        address=f"0x{address.hex()}",
    )  # fmt: skip
    link_if_due(session, THE_SYSTEM, wallet)
    return wallet


def key_of(session: Session, wallet: Wallet) -> CustodialKey:
    """Return the key that signs for a custodial wallet.

    Raises
    ------
    Conflict
        ``wallet_not_custodial``: its owner signs by themselves. ``wallet_retired``.
    """
    key = session.exec(select(CustodialKey).where(col(CustodialKey.wallet_id) == wallet.id)).first()
    if key is None:
        raise Conflict(
            "wallet_not_custodial",
            "The key of this wallet is not in our custody.",
            remedy="Sign with the wallet itself.",
        )
    if key.ended_at is not None or wallet.state != WalletState.PROVEN:
        raise Conflict(
            "wallet_retired", "This wallet was given up.", remedy="Ask for another wallet."
        )
    return key
