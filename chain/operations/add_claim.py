"""The KYC claim about an investor's identity, signed by our claim key (ERC-735, EIP-712)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlmodel import Session

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address
from chain.node.client import bytes_of, hex_of
from chain.operations.claim_signing import sign_claims
from chain.operations.effect import Call, Chain, PlainEffect
from chain.operations.wallets import raise_any, superseded, wallets_of, without_kyc
from chain.signing.policies import SignerRole
from registry.investor.models import Wallet
from registry.kernel.errors import Conflict, RegistryError
from registry.operation.models import Operation

CLAIM_FIELDS = {
    "identity": "address",
    "topic": "uint256",
    "issuedAt": "uint40",
    "expiresAt": "uint40",
    "evidenceHash": "bytes32",
}

SAME_SECOND = frozenset({"ClaimStoreClaimRevoked", "ClaimStoreNotNewer", "ClaimStorePostDated"})
"""A claim is issued in the second of the newest block, so it comes after whatever the store knows
unless that is of the same second: the claim that this one renews, or its revocation."""


class AddClaim(PlainEffect):
    """Calls `ClaimIssuer.issue`, which writes claims, under one signature, into the claim store."""

    role = SignerRole.AGENT
    records_mined = False

    def check(self, session: Session, operation: Operation) -> None:
        """Refuse a claim for somebody whose KYC no longer stands, or stands by a newer review."""
        raise_any(self.refusals(session, [operation]))

    def refusals(
        self, session: Session, operations: Sequence[Operation]
    ) -> Mapping[UUID, RegistryError]:
        return {**superseded(session, operations), **without_kyc(session, operations)}

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        return self.fold(session, chain, [operation])

    def batch_key(self, operation: Operation) -> str:
        return "claims"

    def fold(self, session: Session, chain: Chain, operations: Sequence[Operation]) -> Call:
        issuer = platform_address(session, chain.chain_id, "ClaimIssuer")
        # The chain's own clock: the store refuses a claim issued after the block it is in.
        issued_at = chain.client.head().timestamp
        wallets = wallets_of(session, operations)
        _refuse_two_of_one(wallets)
        claims = [
            _claim(operation, wallet, issued_at)
            for operation, wallet in zip(operations, wallets, strict=True)
        ]
        typed_data = claims_typed_data(chain.chain_id, issuer, claims)
        signature = sign_claims(session, chain, operations, typed_data)
        values = [tuple(claim[name] for name in CLAIM_FIELDS) for claim in claims]
        issue = contract("ClaimIssuer").functions["issue"]
        return Call(bytes_of(issuer), issue.encode(values, signature), too_early=SAME_SECOND)


def _refuse_two_of_one(wallets: Sequence[Wallet]) -> None:
    """Refuse two claims about one identity in one call.

    The store would refuse the second, as issued in the same second, and by that name the whole
    call would wait for a later one, for ever. Parted, the older is refused as superseded.
    """
    if len({wallet.identity for wallet in wallets}) < len(wallets):
        raise Conflict("claim_superseded", "Of two claims about one identity, one is superseded.")


def _claim(operation: Operation, wallet: Wallet, issued_at: int) -> dict[str, Any]:
    assert wallet.identity is not None, "the identity is a dependency of its claim"
    return {
        "identity": hex_of(wallet.identity),
        "topic": operation.params["topic"],
        "issuedAt": issued_at,
        "expiresAt": operation.params["expires_at"],
        "evidenceHash": bytes.fromhex(operation.params["evidence_sha256"]),
    }


def claims_typed_data(chain_id: int, issuer: str, claims: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the typed data that `ClaimIssuer.issue` recovers the signer from.

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
            "ClaimBatch": [{"name": "claims", "type": "IssuedClaim[]"}],
            "IssuedClaim": [{"name": name, "type": kind} for name, kind in CLAIM_FIELDS.items()],
        },
        "primaryType": "ClaimBatch",
        "domain": {
            "name": "Milkiyat ClaimIssuer",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": issuer,
        },
        "message": {"claims": claims},
    }
