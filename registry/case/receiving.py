"""In which wallets people are given fractions: in none that an order binds, or a list may bar."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlmodel import Session, col, select

from registry.case.bound import read_bound
from registry.investor.models import Investor, Wallet, WalletState
from registry.investor.verified import identity_not_ready, verified_wallets
from registry.kernel.rows import among
from registry.sanctions.hits import listed_among


def barred_wallets(session: Session, wallet_ids: Collection[UUID]) -> set[UUID]:
    """Give those of many wallets that an order binds, or whose holder a list may name."""
    rows = session.exec(
        select(Wallet.id, Wallet.address, Investor.party_id)
        .join(Investor, col(Investor.id) == col(Wallet.investor_id))
        .where(among(col(Wallet.id), wallet_ids))
    ).all()
    listed = listed_among(session, {party_id for _, _, party_id in rows})
    bound = read_bound(session)
    return {
        wallet_id
        for wallet_id, address, party_id in rows
        if party_id in listed or bound.binds(party_id, address)
    }


def receiving_wallets(
    session: Session, investor_ids: Collection[UUID], *, prefers_own: bool = False
) -> Mapping[UUID, Wallet]:
    """Choose for each the wallet in which they are given fractions; who has none is absent.

    It is the oldest that carries an identity and that nothing bars. Where all are barred it is the
    oldest, and who gives says why it is not given.

    Parameters
    ----------
    prefers_own
        Whether one whose key they hold comes before one in our custody, whose key sends nothing.
    """
    if not investor_ids:
        return {}
    found = verified_wallets(session, investor_ids)
    barred = barred_wallets(session, {each.id for some in found.values() for each in some})

    def rank(wallet: Wallet) -> tuple[bool, bool]:
        return wallet.id in barred, prefers_own and wallet.is_custodial

    return {investor_id: min(some, key=rank) for investor_id, some in found.items()}


def receiving_wallet(session: Session, investor_id: UUID, *, prefers_own: bool = False) -> Wallet:
    """Choose the wallet of one, as `receiving_wallets` does.

    Raises
    ------
    Conflict
        ``identity_not_ready``.
    """
    found = receiving_wallets(session, [investor_id], prefers_own=prefers_own)
    if investor_id not in found:
        raise identity_not_ready()
    return found[investor_id]


def replacements_of(session: Session, wallet_ids: Collection[UUID]) -> Mapping[UUID, Wallet]:
    """Choose another wallet in place of each that was given up, or lost.

    One that is still in use is absent, and so is one whose investor has no other.
    """
    gone = session.exec(
        select(Wallet.id, Wallet.investor_id).where(
            among(col(Wallet.id), wallet_ids), col(Wallet.state) != WalletState.PROVEN
        )
    ).all()
    others = receiving_wallets(session, {investor_id for _, investor_id in gone})
    return {
        wallet_id: others[investor_id] for wallet_id, investor_id in gone if investor_id in others
    }
