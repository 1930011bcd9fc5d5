"""Claims as an off-chain signer issues them, and the ways to spoil them."""

from dataclasses import dataclass, replace

from eth_abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
UINT64_MAX = 2**64 - 1
EVIDENCE_HASH = bytes.fromhex("e5" * 32)
KYC_TOPIC = 1_001
DAY = 86_400

CLAIM_TYPE = {
    "Claim": [
        {"name": "identity", "type": "address"},
        {"name": "topic", "type": "uint256"},
        {"name": "data", "type": "bytes"},
    ]
}


def claim_data(issued_at, expires_at, evidence_hash=EVIDENCE_HASH):
    """Encode claim data; full words, so that values beyond uint64 can be tried."""
    return encode(["uint256", "uint256", "bytes32"], [issued_at, expires_at, evidence_hash])


def typed_claim(issuer, chain_id, identity, topic, data):
    """Return the EIP-712 message for a claim."""
    domain = {
        "name": "Milkiyat ClaimIssuer",
        "version": "1",
        "chainId": chain_id,
        "verifyingContract": str(issuer),
    }
    message = {"identity": str(identity), "topic": topic, "data": data}
    return encode_typed_data(domain, CLAIM_TYPE, message)


@dataclass(frozen=True)
class Claim:
    """The four arguments of isClaimValid."""

    identity: str
    topic: int
    signature: bytes
    data: bytes

    def is_valid(self, issuer):
        return issuer.isClaimValid(self.identity, self.topic, self.signature, self.data)

    def but(self, **changes):
        return replace(self, **changes)


def signed_claim(issuer, key, identity, data, *, topic=KYC_TOPIC, chain_id=31_337, address=None):
    """Sign a claim for `issuer`, or for the issuer contract at `address`."""
    message = typed_claim(address or issuer.address, chain_id, identity, topic, data)
    signature = Account.sign_message(message, key.private_key).signature
    return Claim(str(identity), topic, bytes(signature), data)


def split(signature):
    """Return r, s and v as integers."""
    return (
        int.from_bytes(signature[:32], "big"),
        int.from_bytes(signature[32:64], "big"),
        signature[64],
    )


def join(r, s, v):
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([v])


def with_other_s(signature):
    """Return the second signature that ecrecover maps to the same signer (s -> n - s)."""
    r, s, v = split(signature)
    return join(r, SECP256K1_ORDER - s, 55 - v)


def with_v(signature, v):
    return signature[:64] + bytes([v])


BATCH_TYPE = {
    "ClaimBatch": [{"name": "claims", "type": "IssuedClaim[]"}],
    "IssuedClaim": [
        {"name": "identity", "type": "address"},
        {"name": "topic", "type": "uint256"},
        {"name": "issuedAt", "type": "uint40"},
        {"name": "expiresAt", "type": "uint40"},
        {"name": "evidenceHash", "type": "bytes32"},
    ],
}


@dataclass(frozen=True)
class IssuedClaim:
    """A claim that an issuer writes into the store."""

    identity: str
    issued_at: int
    expires_at: int
    topic: int = KYC_TOPIC
    evidence_hash: bytes = EVIDENCE_HASH

    def but(self, **changes):
        return replace(self, **changes)

    def values(self):
        return (
            str(self.identity),
            self.topic,
            self.issued_at,
            self.expires_at,
            self.evidence_hash,
        )

    def data(self):
        """The data with which an identity presents it."""
        return claim_data(self.issued_at, self.expires_at, self.evidence_hash[:16] + bytes(16))

    def is_valid(self, issuer):
        return issuer.isClaimValid(self.identity, self.topic, b"", self.data())


def typed_batch(issuer, chain_id, claims):
    """Return the EIP-712 message for claims that are issued together."""
    domain = {
        "name": "Milkiyat ClaimIssuer",
        "version": "1",
        "chainId": chain_id,
        "verifyingContract": str(issuer),
    }
    fields = [field["name"] for field in BATCH_TYPE["IssuedClaim"]]
    message = {"claims": [dict(zip(fields, claim.values(), strict=True)) for claim in claims]}
    return encode_typed_data(domain, BATCH_TYPE, message)


def signed_batch(issuer, key, *claims, chain_id=31_337, address=None):
    """Return the two arguments of ClaimIssuer.issue."""
    message = typed_batch(address or issuer.address, chain_id, claims)
    signature = Account.sign_message(message, key.private_key).signature
    return [claim.values() for claim in claims], bytes(signature)
