"""Whether an event of a tokenization may be fired now, and what a token forbids its asset.

Those of a sale stand with it (`registry.offering.guards`).
"""

from __future__ import annotations

from fractions import Fraction
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset.models import Asset
from registry.bill_of_lading.models import BillOfLading
from registry.kernel.errors import Conflict, Invalid
from registry.lifecycle.reasons import require_reason
from registry.lifecycle.service import Attempt, guard
from registry.receipt.models import WarehouseReceipt
from registry.tokenization.compliance import require_sound_terms
from registry.tokenization.gate import require_open_gate
from registry.tokenization.models import ENDED, Tokenization, TokenizationState
from registry.wrapper import service as wrappers

MACHINE = "tokenization"
SUITE = frozenset(
    {
        "token",
        "identity_registry",
        "identity_registry_storage",
        "trusted_issuers_registry",
        "claim_topics_registry",
        "compliance",
    }
)
"""Contracts of one token."""

UNAPPROVED = (TokenizationState.PROPOSED, TokenizationState.STRUCTURED)
"""Before its terms are approved a token has locked nothing (`registry.tokenization.custody`)."""

SELLING = (TokenizationState.OFFERING, TokenizationState.MINTING)


def check_terms(fractions: int, price_paisa: int, economic_share: Fraction) -> None:
    """Refuse terms that no token can have.

    Raises
    ------
    Invalid
        ``token_terms_invalid``; an economic share above the whole breaks TOK-05.
    """
    if fractions <= 0 or price_paisa <= 0 or economic_share <= 0:
        raise Invalid(
            "token_terms_invalid", "Fractions, their price and the economic share are above zero."
        )
    if economic_share > 1:
        raise Invalid(
            "token_terms_invalid",
            "Tokens cannot carry more than the whole of the asset's economics (rule TOK-05).",
            field="/economic_share",
            rule="TOK-05",
        )


@guard(MACHINE, "structure")
def _terms_and_wrapper_are_there(attempt: Attempt[Tokenization]) -> None:
    record = attempt.record
    share = record.economic_share
    check_terms(record.declared_fractions, record.price_paisa, share)
    if wrappers.find_wrapper(attempt.session, record.asset_id) is None:
        raise Conflict("wrapper_missing", "No wrapper is named for this asset.", rule="WRP-01")


@guard(MACHINE, "approve", "deploy")
def _the_gate_is_open(attempt: Attempt[Tokenization]) -> None:
    require_open_gate(attempt.session, attempt.record)


@guard(MACHINE, "deploy")
def _the_compliance_terms_are_sound(attempt: Attempt[Tokenization]) -> None:
    require_sound_terms(attempt.session, attempt.record)


@guard(MACHINE, "deploy_confirmed")
def _every_contract_stands(attempt: Attempt[Tokenization]) -> None:
    missing = SUITE - attempt.given["suite"].keys()
    if missing:
        raise Conflict("suite_incomplete", f"Not deployed: {', '.join(sorted(missing))}.")


@guard(MACHINE, "deploy_failed")
def _no_contract_stands(attempt: Attempt[Tokenization]) -> None:
    if attempt.record.token_address is not None:
        raise Conflict("token_on_chain", "The token's contract stands on chain.")


@guard(MACHINE, "pause")
def _a_reason_is_given(attempt: Attempt[Tokenization]) -> None:
    require_reason(attempt)


@guard("asset_onboarding", "amend")
def _no_transfer_window_is_open(attempt: Attempt[Asset]) -> None:
    alive = find_alive(attempt.session, attempt.record.id)
    if alive is not None and alive.state in SELLING:
        raise Conflict(
            "transfers_open",
            f"The token {alive.symbol} is {alive.state}: the dossier does not change meanwhile.",
            remedy="Amend it before the sale, or after.",
        )


@guard("asset_onboarding", "retire")
def _no_token_lives(attempt: Attempt[Asset]) -> None:
    alive = find_alive(attempt.session, attempt.record.id)
    if alive is not None:
        raise Conflict(
            "token_alive",
            f"The token {alive.symbol} is {alive.state}; its holders come first.",
            remedy="Redeem or cancel it.",
        )


@guard("warehouse_receipt", "issue", "deliver")
@guard("ebl", "issue")
def _no_token_stands_without_this_paper(attempt: Attempt[WarehouseReceipt | BillOfLading]) -> None:
    """What a token has not locked is not put into the world while it lives, nor do goods leave."""
    require_no_token(attempt.session, attempt.record.asset_id)


def require_no_token(session: Session, asset_id: UUID) -> None:
    """Refuse what would go past the token of these goods.

    Raises
    ------
    Conflict
        ``tokenization_alive``.
    """
    approved = find_approved(session, asset_id)
    if approved is not None:
        raise Conflict(
            "tokenization_alive",
            f"The token {approved.symbol} of these goods is {approved.state}.",
            remedy="Papers are issued before the terms are approved, or after the token has ended.",
        )


def find_approved(session: Session, asset_id: UUID) -> Tokenization | None:
    """Return the tokenization of the asset that lives and has its terms approved.

    What lies behind it is locked (`registry.tokenization.custody`).
    """
    alive = find_alive(session, asset_id)
    return alive if alive is not None and alive.state not in UNAPPROVED else None


def find_alive(session: Session, asset_id: UUID) -> Tokenization | None:
    """Return the tokenization of the asset that has not ended (TOK-01)."""
    return session.exec(
        select(Tokenization).where(
            col(Tokenization.asset_id) == asset_id, col(Tokenization.state).not_in(ENDED)
        )
    ).first()
