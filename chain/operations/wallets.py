"""The wallets that operations are about, and whether who holds them still may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlmodel import Session

from registry.case.receiving import barred_wallets
from registry.investor import wallets
from registry.investor.models import Wallet
from registry.kernel.errors import Conflict, RegistryError
from registry.offering.buying import on_hold
from registry.operation.models import Operation


def wallets_of(session: Session, operations: Sequence[Operation]) -> list[Wallet]:
    """Give the wallet of each operation, in their order."""
    ids = [_wallet_id(operation) for operation in operations]
    found = wallets.get_wallets(session, ids)
    return [found[wallet_id] for wallet_id in ids]


def without_kyc(session: Session, operations: Sequence[Operation]) -> Mapping[UUID, RegistryError]:
    """Give the operations whose investor's KYC is not in force any more."""
    wanted = {operation.id: _wallet_id(operation) for operation in operations}
    allowed = wallets.wallets_that_may_hold(session, set(wanted.values()))
    return {
        operation_id: Conflict("kyc_not_passed", "The investor's KYC is not in force.")
        for operation_id, wallet_id in wanted.items()
        if wallet_id not in allowed
    }


def superseded(session: Session, operations: Sequence[Operation]) -> Mapping[UUID, RegistryError]:
    """Give the claims of another review than the one by which the investor's KYC was passed."""
    wanted = {operation.id: _wallet_id(operation) for operation in operations}
    evidence = wallets.evidence_of(session, set(wanted.values()))
    return {
        operation.id: Conflict(
            "claim_superseded",
            "The investor's KYC was passed anew, and has a claim of its own.",
            remedy="See to the claim of the newest review.",
        )
        for operation in operations
        if bytes.fromhex(operation.params["evidence_sha256"]) != evidence[wanted[operation.id]]
    }


def not_deliverable(
    session: Session, operations: Sequence[Operation]
) -> Mapping[UUID, RegistryError]:
    """Give the operations that deliver to who may not receive: by KYC, an order or a list."""
    wanted = {operation.id: _wallet_id(operation) for operation in operations}
    barred = barred_wallets(session, set(wanted.values()))
    held = {each: on_hold() for each, wallet_id in wanted.items() if wallet_id in barred}
    return {**held, **without_kyc(session, operations)}


def _wallet_id(operation: Operation) -> UUID:
    return UUID(operation.params["wallet_id"])


def raise_any(refused: Mapping[UUID, RegistryError]) -> None:
    """Raise the first refusal, if there is one."""
    for refusal in refused.values():
        raise refusal
