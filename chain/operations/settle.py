"""Delivery versus payment: fractions against rupees, in one transaction of the Settlement."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlmodel import Session

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address
from chain.errors import RpcInconsistent
from chain.node.client import Receipt, bytes_of
from chain.operations.effect import Call, Chain, PlainEffect
from chain.signing.policies import SignerRole
from registry.operation.models import Operation
from registry.settlement import service as settlements
from registry.tokenization import service as tokenizations

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


class Settle(PlainEffect):
    """Calls `Settlement.settle`, or `settleWithPermit` where the buyer allows it by signature.

    Each party's number is used up by it, so even a second instruction for the same trade could
    not be carried out twice.
    """

    role = SignerRole.SETTLEMENT

    def check(self, session: Session, operation: Operation) -> None:
        settlements.require_settlable(session, operation)

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        said = operation.params
        suite = tokenizations.get_tokenization(session, UUID(said["tokenization_id"])).suite
        assert suite is not None, "what is sold was deployed"
        trade = (
            suite["token"],
            said["seller"],
            int(said["units"]),
            platform_address(session, chain.chain_id, "RupeeToken"),
            said["buyer"],
            int(said["price_paisa"]),
            int(said["seller_nonce"]),
            int(said["buyer_nonce"]),
            int(said["deadline"]),
        )
        signatures = [bytes.fromhex(said[f"{party}_signature"]) for party in ("seller", "buyer")]
        permit = said["permit"]
        functions = contract("Settlement").functions
        if permit is None:
            data = functions["settle"].encode(trade, *signatures)
        else:
            halves = [bytes.fromhex(permit[half]) for half in ("r", "s")]
            allowed = (int(permit["deadline"]), permit["v"], *halves)
            data = functions["settleWithPermit"].encode(trade, *signatures, allowed)
        return Call(bytes_of(platform_address(session, chain.chain_id, "Settlement")), data)

    def read_result(self, operation: Operation, receipt: Receipt) -> dict[str, Any]:
        """Read what was settled, and hold it against what was ordered.

        Raises
        ------
        RpcInconsistent
            The receipt shows no trade, or another one.
        """
        settled = contract("Settlement").events["Settled"]
        said = operation.params
        wanted = (
            said["seller"].lower(),
            said["buyer"].lower(),
            int(said["units"]),
            int(said["price_paisa"]),
        )
        for log in receipt.logs:
            if log.topics[0] != settled.topic:
                continue
            seen = settled.decode(log)
            parties = (seen["seller"].lower(), seen["buyer"].lower())
            if (*parties, seen["units"], seen["pricePaisa"]) == wanted:
                return {"digest": "0x" + bytes(seen["digest"]).hex()}
        raise RpcInconsistent("the receipt of the settlement does not show the trade")

    def on_final(self, session: Session, operation: Operation) -> None:
        settlements.confirm_settlement(session, operation)

    def on_failed(self, session: Session, operation: Operation) -> None:
        settlements.fail_settlement(session, operation)


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
