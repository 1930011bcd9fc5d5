"""The trade of an order as data that wallets sign (EIP-712), and the seller's signature, checked.

Source: contracts/settlement/Settlement.sol; EIP-712; ERC-2612; ADR 0066.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address
from sqlmodel import Session

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address, platform_contract
from chain.errors import ChainError
from chain.node.client import ChainClient, bytes_of, hex_of
from chain.signing.digest import typed_data_digest
from chain.wallet_proof import check_signature
from registry.kernel.errors import Conflict, Unavailable
from registry.settlement.trades import Terms

TRADE_FIELDS = {
    "token": "address",
    "seller": "address",
    "units": "uint256",
    "rupee": "address",
    "buyer": "address",
    "pricePaisa": "uint256",
    "sellerNonce": "uint256",
    "buyerNonce": "uint256",
    "deadline": "uint256",
}


@dataclass(frozen=True, slots=True)
class Market:
    """Where a chain's trades are settled, and in which rupees; 0x-addresses."""

    chain_id: int
    settlement: str
    rupee: str


def market_of(session: Session, chain_id: int) -> Market:
    """Find the contracts of a chain, once for however many trades."""
    settlement, rupee = (
        to_checksum_address(platform_address(session, chain_id, name))
        for name in ("Settlement", "RupeeToken")
    )
    return Market(chain_id, settlement, rupee)


def typed_data_of(market: Market, terms: Terms) -> dict[str, Any]:
    """Give what both parties sign of an order, its addresses as wallets show them (EIP-55)."""
    values = (
        to_checksum_address(terms.token),
        to_checksum_address(terms.seller),
        terms.units,
        market.rupee,
        to_checksum_address(terms.buyer),
        terms.price_paisa,
        terms.nonce,
        terms.nonce,
        terms.deadline,
    )
    trade = dict(zip(TRADE_FIELDS, values, strict=True))
    return trade_typed_data(market.chain_id, market.settlement, trade)


def lockup_place(session: Session, chain_id: int) -> bytes | None:
    """Return where the lock module stands."""
    found = platform_contract(session, chain_id, "LockupModule")
    return found.address if found else None


def permit_of(client: ChainClient, trade: dict[str, Any]) -> dict[str, Any]:
    """Give the permit that goes with a trade's typed data: over its price, until its deadline.

    Raises
    ------
    Unavailable
        ``chain_unavailable``.
    """
    domain, terms = trade["domain"], trade["message"]
    try:
        nonce = permit_nonce(client, terms["rupee"], terms["buyer"])
    except ChainError as error:
        raise _node_away() from error
    return permit_typed_data(
        domain["chainId"],
        terms["rupee"],
        buyer=terms["buyer"],
        settlement=domain["verifyingContract"],
        paisa=terms["pricePaisa"],
        nonce=nonce,
        deadline=terms["deadline"],
    )


def permit_nonce(client: ChainClient, rupee: str, buyer: str) -> int:
    """Ask which permit of a buyer comes next."""
    nonce: int = _ask(client, rupee, "RupeeToken", "nonces", buyer)
    return nonce


def check_seller(
    client: ChainClient, trade: dict[str, Any], signature: bytes, *, lockup: bytes | None
) -> bytes:
    """Check that the seller signed a trade, and that the Settlement can take the units.

    Parameters
    ----------
    lockup
        Where the platform's lock module stands, 20 bytes; None where there is none.

    Returns
    -------
    bytes
        Its digest, by which the Settlement names it.

    Raises
    ------
    Conflict
        ``wallet_proof_refused``, ``contract_wallet_failed``, ``seller_allowance_short``,
        ``seller_units_bound``.
    Unavailable
        ``chain_unavailable``.
    """
    terms, settlement = trade["message"], trade["domain"]["verifyingContract"]
    digest = typed_data_digest(trade)
    check_signature(client, bytes_of(terms["seller"]), digest, signature)
    try:
        allowed = _ask(client, terms["token"], "Token", "allowance", terms["seller"], settlement)
        free = _free_units(client, terms, lockup)
    except ChainError as error:
        raise _node_away() from error
    if free < terms["units"]:
        raise Conflict(
            "seller_units_bound",
            f"{terms['units']} fractions are sold, {free} of your wallet are neither frozen nor "
            "locked.",
            remedy="Sign once they are free, or let the order lapse.",
        )
    if allowed < terms["units"]:
        raise Conflict(
            "seller_allowance_short",
            f"The Settlement may take {allowed} of your fractions, {terms['units']} are sold.",
            remedy=f"Call approve of the token for {settlement} first, for all that you sell.",
        )
    return digest


def _free_units(client: ChainClient, terms: dict[str, Any], lockup: bytes | None) -> int:
    token, seller = terms["token"], terms["seller"]
    free: int = _ask(client, token, "Token", "balanceOf", seller)
    free -= _ask(client, token, "Token", "getFrozenTokens", seller)
    if lockup is not None:
        compliance = _ask(client, token, "Token", "compliance")
        free -= _ask(client, hex_of(lockup), "LockupModule", "lockedUnits", compliance, seller)
    return free


def _ask(client: ChainClient, place: str, name: str, function: str, *arguments: Any) -> Any:
    view = contract(name).functions[function]
    return view.decode(client.call(bytes_of(place), view.encode(*arguments)))


def _node_away() -> Unavailable:
    return Unavailable("chain_unavailable", "The chain's node does not answer; try again soon.")


def trade_typed_data(chain_id: int, settlement: str, trade: dict[str, Any]) -> dict[str, Any]:
    """Give the typed data of a trade that seller and buyer sign.

    Parameters
    ----------
    settlement
        0x-address of the Settlement contract.
    trade
        A value for each of `TRADE_FIELDS`.

    Source: contracts/settlement/Settlement.sol; EIP-712.
    """
    domain = {
        "name": "Milkiyat Settlement",
        "version": "1",
        "chainId": chain_id,
        "verifyingContract": settlement,
    }
    return _typed_data("Trade", TRADE_FIELDS, domain, trade)


def permit_typed_data(
    chain_id: int, rupee: str, *, buyer: str, settlement: str, paisa: int, nonce: int, deadline: int
) -> dict[str, Any]:
    """Give the typed data of the buyer's permit for the Settlement (ERC-2612).

    Parameters
    ----------
    nonce
        What `RupeeToken.nonces` says of the buyer.
    """
    domain = {
        "name": "Pakistani rupee",
        "version": "1",
        "chainId": chain_id,
        "verifyingContract": rupee,
    }
    fields = {
        "owner": "address",
        "spender": "address",
        "value": "uint256",
        "nonce": "uint256",
        "deadline": "uint256",
    }
    values = (buyer, settlement, paisa, nonce, deadline)
    return _typed_data("Permit", fields, domain, dict(zip(fields, values, strict=True)))


def _typed_data(
    name: str, fields: dict[str, str], domain: dict[str, Any], message: dict[str, Any]
) -> dict[str, Any]:
    of_domain = dict(
        zip(domain, ("string", "string", "uint256", "address"), strict=True),
    )
    return {
        "types": {
            "EIP712Domain": [{"name": key, "type": kind} for key, kind in of_domain.items()],
            name: [{"name": key, "type": kind} for key, kind in fields.items()],
        },
        "primaryType": name,
        "domain": domain,
        "message": message,
    }
