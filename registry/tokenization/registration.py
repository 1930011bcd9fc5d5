"""Registering a wallet for a token, once, whoever needs it first."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlmodel import Session

from registry.investor import service as investors
from registry.investor.models import Wallet
from registry.kernel.actor import Actor
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind
from registry.party.rules import country_number
from registry.tokenization.models import Tokenization


def plan_registration(
    session: Session, actor: Actor, tokenization: Tokenization, wallet: Wallet
) -> Operation:
    """Have the wallet registered for the token, with the country of its party."""
    return plan_registrations(session, actor, tokenization, [wallet])[wallet.id]


def plan_registrations(
    session: Session, actor: Actor, tokenization: Tokenization, wallets: Collection[Wallet]
) -> dict[UUID, Operation]:
    """Have wallets registered for the token, and give the operations by wallet."""
    countries = investors.countries_of(session, {wallet.investor_id for wallet in wallets})
    keys = {wallet.id: f"register_identity:{tokenization.id}:{wallet.id}" for wallet in wallets}
    planned = operations.plan_all(
        session,
        actor,
        [
            operations.NewOperation(
                OperationKind.REGISTER_IDENTITY,
                keys[wallet.id],
                ("tokenization", tokenization.id),
                {
                    "tokenization_id": str(tokenization.id),
                    "wallet_id": str(wallet.id),
                    "country": country_number(countries[wallet.investor_id]),
                },
            )
            for wallet in wallets
        ],
    )
    return {wallet_id: planned[key] for wallet_id, key in keys.items()}
