"""The wallets that operations are about, and whether who holds them still may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlmodel import Session

from registry.investor import service as investors
from registry.investor.models import Wallet
from registry.kernel.errors import Conflict, RegistryError
from registry.operation.models import Operation


def wallets_of(session: Session, operations: Sequence[Operation]) -> list[Wallet]:
    """Give the wallet of each operation, in their order."""
    ids = [UUID(operation.params["wallet_id"]) for operation in operations]
    found = investors.get_wallets(session, ids)
    return [found[wallet_id] for wallet_id in ids]


def without_kyc(session: Session, operations: Sequence[Operation]) -> Mapping[UUID, RegistryError]:
    """Give the operations whose investor's KYC is not in force any more."""
    wallets = wallets_of(session, operations)
    holders = investors.get_investors(session, {wallet.investor_id for wallet in wallets})
    return {
        operation.id: Conflict("kyc_not_passed", "The investor's KYC is not in force.")
        for operation, wallet in zip(operations, wallets, strict=True)
        if not investors.may_hold(holders[wallet.investor_id])
    }


def raise_any(refused: Mapping[UUID, RegistryError]) -> None:
    """Raise the first refusal, if there is one."""
    for refusal in refused.values():
        raise refusal
