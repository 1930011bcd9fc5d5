"""Queries: in which wallets an investor can hold units: those that carry their identity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from registry.investor.models import Wallet, WalletState
from registry.kernel.errors import Conflict
from registry.kernel.rows import among


def verified_wallets(
    session: Session, investor_ids: Collection[UUID]
) -> Mapping[UUID, Sequence[Wallet]]:
    """List the wallets of each that carry an identity, oldest first; who has none is absent."""
    rows = session.exec(
        select(Wallet)
        .where(
            among(col(Wallet.investor_id), investor_ids),
            col(Wallet.state) == WalletState.PROVEN,
            col(Wallet.identity).is_not(None),
        )
        .order_by(col(Wallet.id))
    )
    found: defaultdict[UUID, list[Wallet]] = defaultdict(list)
    for wallet in rows:
        found[wallet.investor_id].append(wallet)
    return found


def identity_not_ready() -> Conflict:
    return Conflict(
        "identity_not_ready",
        "The investor's identity is not on chain yet.",
        remedy="Wait until the operation of the KYC approval is final.",
    )
