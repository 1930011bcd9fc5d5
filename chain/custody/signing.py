"""What the key of a custodial wallet signs: terms that its owner confirmed, and nothing else.

It sends no transaction, so it holds no money of the chain and moves none. The policy does not
rely on who asks: it reads contract, type and parties from the data that is to be signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from chain.errors import PolicyRefused, SignerRefused
from chain.node.client import bytes_of, hex_of
from chain.signing.policies import SigningPolicy
from chain.signing.wallet_keys import WalletKeys
from chain.typed_policy import require_typed
from registry.investor import custody, wallets
from registry.investor.models import Wallet
from registry.offering.models import Offering, Order, OrderState
from registry.operation.errors import operation_problem
from registry.tokenization import service as tokenizations


@dataclass(frozen=True, slots=True)
class Purchase:
    """The EIP-712 data of a purchase.

    Parameters
    ----------
    trade
        `Settlement.Trade`, as the seller signed it.
    permit
        ERC-2612, for the Settlement, over the price.
    """

    trade: dict[str, Any]
    permit: dict[str, Any]


def sign_purchase(
    session: Session,
    keys: WalletKeys | None,
    policy: SigningPolicy,
    wallet: Wallet,
    purchase: Purchase,
) -> tuple[bytes, bytes]:
    """Sign trade and permit by the key of a custodial wallet; 65 bytes r, s, v each.

    Raises
    ------
    PolicyRefused
        ``signer_contract_forbidden``, ``signer_method_forbidden``, ``custodial_terms_forbidden``.
    Conflict
        ``wallet_not_custodial``, ``wallet_retired``.
    SignerRefused, SignerUnavailable
        The key is away, or is not the wallet's.
    """
    key = custody.key_of(session, wallet)
    assert key.key_uri is not None, "a wallet has one"
    trade, permit = purchase.trade, purchase.permit
    for typed_data, name in ((trade, "Settlement"), (permit, "RupeeToken")):
        require_typed(
            session,
            key.chain_id,
            policy.custody,
            typed_data,
            name,
            keys="Keys of custodial wallets",
            section="custody",
        )
    _require_terms(session, wallet, trade["message"])
    if trade["message"]["rupee"] != permit["domain"]["verifyingContract"]:
        raise _not_confirmed("a trade against other rupees than the platform's")
    if permit["message"] | _allowance(wallet, trade) != permit["message"]:
        raise _not_confirmed("a permit of other terms than the trade's")
    if keys is None:
        raise SignerRefused("Custodial wallets need CUSTODY_KEYS.")
    signer = keys.open(key.key_uri)
    if signer.address != wallet.address:
        raise SignerRefused(
            f"{key.key_uri} is the key of {hex_of(signer.address)}, not of the wallet "
            f"{hex_of(wallet.address)}. Was the right backup restored?"
        )
    return signer.sign_typed_data(trade), signer.sign_typed_data(permit)


def _require_terms(session: Session, wallet: Wallet, terms: dict[str, Any]) -> None:
    """Let a trade be signed if it is an order of this wallet that its owner has confirmed."""
    token = tokenizations.find_by_address(session, bytes_of(terms["token"]))
    seller = wallets.find_wallet(session, bytes_of(terms["seller"]))
    order = session.exec(
        select(Order.id)
        .join(Offering, col(Offering.id) == col(Order.offering_id))
        .where(
            col(Offering.seller_wallet_id) == (seller.id if seller else None),
            col(Order.id) == _order_of(terms),
            col(Order.wallet_id) == wallet.id,
            col(Order.state) == OrderState.SETTLING,
            func.floor(func.extract("epoch", col(Order.pay_until))) == terms["deadline"],
            col(Order.units) == terms["units"],
            col(Order.amount_paisa) == terms["pricePaisa"],
            col(Offering.tokenization_id) == (token.id if token else None),
        )
    ).first()
    if order is None or bytes_of(terms["buyer"]) != wallet.address:
        raise _not_confirmed("what their owner has not confirmed")


def _order_of(terms: dict[str, Any]) -> UUID | None:
    """Return which order both parties' numbers name."""
    nonce: int = terms["buyerNonce"]
    return UUID(int=nonce) if nonce == terms["sellerNonce"] and nonce < 2**128 else None


def _allowance(wallet: Wallet, trade: dict[str, Any]) -> dict[str, Any]:
    return {
        "owner": hex_of(wallet.address),
        "spender": trade["domain"]["verifyingContract"],
        "value": trade["message"]["pricePaisa"],
        "deadline": trade["message"]["deadline"],
    }


def _not_confirmed(what: str) -> PolicyRefused:
    return PolicyRefused(
        operation_problem(
            "custodial_terms_forbidden",
            f"Keys of custodial wallets do not sign {what}.",
            remedy="Have the owner confirm the order again.",
        )
    )
