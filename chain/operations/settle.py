"""Delivery versus payment: fractions against rupees, in one transaction of the Settlement."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlmodel import Session

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address
from chain.custody.signing import Purchase, sign_purchase
from chain.errors import RpcInconsistent
from chain.node.client import Receipt, bytes_of
from chain.operations.effect import Call, Chain, PlainEffect
from chain.signing.policies import SignerRole
from chain.trades import TRADE_FIELDS, permit_nonce, permit_typed_data, trade_typed_data
from registry.investor import wallets
from registry.operation.models import Operation
from registry.settlement import service as settlements
from registry.tokenization import service as tokenizations

_Permit = tuple[int, int, bytes, bytes]
"""Deadline, v, r and s."""


class Settle(PlainEffect):
    """Calls `Settlement.settle`, or `settleWithPermit` where the buyer allows it by signature.

    Each party's number is used up by it, so no second instruction for the same trade can be carried
    out; one that reverts for that reason has failed, and the trade is found by its digest. A buyer
    whose key is in our custody signs here, by that key.
    """

    role = SignerRole.SETTLEMENT

    def check(self, session: Session, operation: Operation) -> None:
        settlements.require_settlable(session, operation)

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        # Before the buyer's key signs, and before a node sees what both have signed.
        settlements.require_settlable(session, operation)
        said = operation.params
        suite = tokenizations.get_tokenization(session, UUID(said["tokenization_id"])).suite
        assert suite is not None, "what is sold was deployed"
        values = (
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
        trade = dict(zip(TRADE_FIELDS, values, strict=True))
        by_seller = bytes.fromhex(said["seller_signature"])
        settlement = platform_address(session, chain.chain_id, "Settlement")
        permit: _Permit | None
        if said["buyer_signature"] is None:
            by_buyer, permit = _signed_in_custody(session, chain, settlement, trade)
        else:
            by_buyer, permit = bytes.fromhex(said["buyer_signature"]), _permit_of(said["permit"])
        functions = contract("Settlement").functions
        if permit is None:
            data = functions["settle"].encode(values, by_seller, by_buyer)
        else:
            data = functions["settleWithPermit"].encode(values, by_seller, by_buyer, permit)
        return Call(bytes_of(settlement), data)

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


def _permit_of(said: dict[str, Any] | None) -> _Permit | None:
    if said is None:
        return None
    r, s = (bytes.fromhex(said[half]) for half in ("r", "s"))
    return int(said["deadline"]), int(said["v"]), r, s


def _signed_in_custody(
    session: Session, chain: Chain, settlement: str, trade: dict[str, Any]
) -> tuple[bytes, _Permit]:
    """Have the key of the buyer's custodial wallet sign the trade, and a permit over its price."""
    wallet = wallets.find_wallet(session, bytes_of(trade["buyer"]))
    assert wallet is not None, "an order is of a wallet that is ours"
    permit = permit_typed_data(
        chain.chain_id,
        trade["rupee"],
        buyer=trade["buyer"],
        settlement=settlement,
        paisa=trade["pricePaisa"],
        nonce=permit_nonce(chain.client, trade["rupee"], trade["buyer"]),
        deadline=trade["deadline"],
    )
    terms = trade_typed_data(chain.chain_id, settlement, trade)
    by_buyer, allowance = sign_purchase(
        session, chain.custody, chain.policy, wallet, Purchase(terms, permit)
    )
    return by_buyer, (trade["deadline"], allowance[64], allowance[:32], allowance[32:64])
