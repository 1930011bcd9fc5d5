"""Registering a wallet for a token, once, whoever needs it first."""

from __future__ import annotations

from sqlmodel import Session

from registry.investor import service as investors
from registry.investor.models import Wallet
from registry.kernel.actor import Actor
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind
from registry.party import service as parties
from registry.party.rules import country_number
from registry.tokenization.models import Tokenization


def plan_registration(
    session: Session, actor: Actor, tokenization: Tokenization, wallet: Wallet
) -> Operation:
    """Have the wallet registered for the token, with the country of its party."""
    investor = investors.get_investor(session, wallet.investor_id)
    party = parties.get_party(session, investor.party_id)
    return operations.plan(
        session,
        actor,
        OperationKind.REGISTER_IDENTITY,
        key=f"register_identity:{tokenization.id}:{wallet.id}",
        subject=("tokenization", tokenization.id),
        params={
            "tokenization_id": str(tokenization.id),
            "wallet_id": str(wallet.id),
            "country": country_number(party.residence_country),
        },
    )
