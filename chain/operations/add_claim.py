"""The KYC claim on an investor's identity, signed by our claim key (ERC-735, EIP-712)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from eth_abi.abi import encode
from sqlmodel import Session

from chain.abi import contract
from chain.client import bytes_of, hex_of
from chain.operations.effect import Call, Chain, PlainEffect
from chain.platform import platform_address
from registry.investor import service as investors
from registry.investor.models import Wallet
from registry.kernel.errors import Conflict
from registry.operation.models import Operation

SCHEME_ECDSA = 1


class AddClaim(PlainEffect):
    """Calls `addClaim` on the identity, as its manager."""

    def check(self, session: Session, operation: Operation) -> None:
        """Refuse a claim for somebody whose KYC no longer stands."""
        wallet = session.get_one(Wallet, UUID(operation.params["wallet_id"]))
        if not investors.may_hold(investors.get_investor(session, wallet.investor_id)):
            raise Conflict("kyc_not_passed", "The investor's KYC is not in force.")

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        wallet = session.get_one(Wallet, UUID(operation.params["wallet_id"]))
        assert wallet.identity is not None, "the identity is a dependency of its claim"
        identity, topic = hex_of(wallet.identity), operation.params["topic"]
        issuer = platform_address(session, chain.chain_id, "ClaimIssuer")
        # The chain's own clock: a claim issued after the block that checks it would be refused.
        issued_at = chain.client.head().timestamp
        data = encode(
            ["uint64", "uint64", "bytes32"],
            [
                issued_at,
                operation.params["expires_at"],
                bytes.fromhex(operation.params["evidence_sha256"]),
            ],
        )
        signature = chain.claim_signer.sign_typed_data(
            claim_typed_data(chain.chain_id, issuer, identity, topic, data)
        )
        add_claim = contract("Identity").functions["addClaim"]
        return Call(
            to=bytes_of(identity),
            data=add_claim.encode(topic, SCHEME_ECDSA, issuer, signature, data, ""),
        )


def claim_typed_data(
    chain_id: int, issuer: str, identity: str, topic: int, data: bytes
) -> dict[str, Any]:
    """Give the typed data that `ClaimIssuer.isClaimValid` recovers the signer from.

    Source: contracts/ClaimIssuer.sol; EIP-712.
    """
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Claim": [
                {"name": "identity", "type": "address"},
                {"name": "topic", "type": "uint256"},
                {"name": "data", "type": "bytes"},
            ],
        },
        "primaryType": "Claim",
        "domain": {
            "name": "Milkiyat ClaimIssuer",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": issuer,
        },
        "message": {"identity": identity, "topic": topic, "data": data},
    }
