"""Use cases by which an investor gives up a wallet that holds nothing (any more).

A lost wallet, which may hold units, is given up by a recovery: see `registry.case`.
"""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable import portfolio
from registry.case.bound import require_unbound
from registry.case.models import Case, CaseState
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import Wallet, WalletState
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.errors import Conflict
from registry.kernel.rows import get_row
from registry.offering.models import UNDER_WAY, Offering, OfferingState, Order
from registry.operation import service as operations
from registry.operation.models import FAILED, Operation, OperationKind
from registry.passkey import service as passkeys

_CLOSED_CASES = (
    CaseState.EXECUTED,
    CaseState.LIFTED,
    CaseState.REJECTED,
    CaseState.WITHDRAWN,
)


def remove_wallet(session: Session, actor: Actor, investor_id: UUID, address: bytes) -> Wallet:
    """Give up a wallet of the caller's for good; a repeat changes nothing.

    Parameters
    ----------
    address
        20 bytes.

    Raises
    ------
    NotFound
        It is no wallet of theirs.
    Forbidden
        ``sign_in_not_recent``.
    Conflict
        ``wallet_in_use``, ``party_under_order``.
    """
    # Locked: an approval at this moment links the wallet before this, or finds it given up.
    wallets.own_investor(session, actor, investor_id, lock=True)
    passkeys.require_recent(session, actor)
    wallet = wallets.lock_own_wallet(session, investor_id, address)
    if wallet.state != WalletState.PROVEN:
        return wallet
    _require_unused(session, wallet)
    text = f"0x{address.hex()}"
    journal.record(session, actor, "wallet_given_up", "investor", investor_id, address=text)
    if wallet.identity is None:
        wallets.retire_wallet(session, wallet.id)
        return wallet
    wallet.state = WalletState.RETIRING
    session.flush()
    operations.plan(
        session,
        actor,
        OperationKind.RETIRE_WALLET,
        key=f"retire_wallet:{text}",
        subject=("investor", investor_id),
        params={"wallet_id": str(wallet.id), "wallet": text},
    )
    return wallet


def require_removable(session: Session, operation: Operation) -> None:
    """Refuse, when it is signed, to retire a wallet to which something has come meanwhile.

    Raises
    ------
    Conflict
        ``wallet_in_use``, ``party_under_order``.
    """
    _require_unused(session, session.get_one(Wallet, UUID(operation.params["wallet_id"])))


def keep_wallet(session: Session, operation: Operation) -> None:
    """Let a wallet be used again whose removal failed; a repeat changes nothing."""
    wallet_id = UUID(operation.params["wallet_id"])
    wallet = get_row(session, Wallet, wallet_id, kind="wallet", lock=True)
    if wallet.state == WalletState.RETIRING:
        wallet.state = WalletState.PROVEN
        session.flush()
        journal.record(
            session, THE_SYSTEM, "wallet_kept", "investor", wallet.investor_id,
            address=f"0x{wallet.address.hex()}",
        )  # fmt: skip


def _require_unused(session: Session, wallet: Wallet) -> None:
    investor = investors.get_investor(session, wallet.investor_id)
    require_unbound(session, investor.party_id, wallet.address)
    linking = operations.find_by_key(session, f"create_identity:0x{wallet.address.hex()}")
    is_linking = linking is not None and linking.state not in FAILED and wallet.identity is None
    uses = {
        "it holds units": portfolio.holds_any(session, wallet.address),
        "an order is for it": _has_order(session, wallet),
        "what it holds is on sale": _has_sale(session, wallet),
        "a case is about it": _has_case(session, wallet.address),
        "it is being linked to your identity": is_linking,
    }
    for use, is_so in uses.items():
        if is_so:
            raise Conflict(
                "wallet_in_use",
                f"The wallet cannot be given up: {use}.",
                remedy="Move what it holds and end what is open, then repeat.",
            )


def _has_order(session: Session, wallet: Wallet) -> bool:
    query = select(Order.id).where(
        col(Order.wallet_id) == wallet.id, col(Order.state).in_(UNDER_WAY)
    )
    return session.exec(query).first() is not None


def _has_sale(session: Session, wallet: Wallet) -> bool:
    query = select(Offering.id).where(
        col(Offering.seller_wallet_id) == wallet.id, col(Offering.state) == OfferingState.OPEN
    )
    return session.exec(query).first() is not None


def _has_case(session: Session, address: bytes) -> bool:
    query = select(Case.id).where(
        (col(Case.wallet) == address) | (col(Case.counterparty) == address),
        col(Case.state).not_in(_CLOSED_CASES),
    )
    return session.exec(query).first() is not None
