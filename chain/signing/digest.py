"""What every signer shares: only the signature of 32 bytes differs from key to key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from chain.signing.curve import recovered_key
from chain.signing.envelope import Signature, digest_of, seal
from chain.signing.port import SignedTransaction, UnsignedTransaction


class DigestSigner(ABC):
    """Signs transactions and typed data with whatever signs a digest."""

    @property
    @abstractmethod
    def address(self) -> bytes:
        """The key's address, 20 bytes."""

    @abstractmethod
    def _sign_digest(self, digest: bytes) -> Signature:
        """Sign 32 bytes as they are."""

    def sign_transaction(self, transaction: UnsignedTransaction) -> SignedTransaction:
        return seal(transaction, self._sign_digest(digest_of(transaction)))

    def sign_typed_data(self, typed_data: dict[str, Any]) -> bytes:
        return self._sign_digest(typed_data_digest(typed_data)).to_bytes()


def typed_data_digest(typed_data: dict[str, Any]) -> bytes:
    """Give what a wallet signs of typed data (EIP-712)."""
    message = encode_typed_data(full_message=typed_data)
    return keccak(b"\x19" + message.version + message.header + message.body)


def address_of_point(point: bytes) -> bytes:
    """Give the address of a public key of 65 bytes, uncompressed (SEC 1)."""
    return keccak(point[1:])[12:]


def recovered_point(signature: Signature, digest: bytes) -> bytes | None:
    """Give the public key that made a signature, of 65 bytes; None where none can have."""
    try:
        packed = signature.to_bytes()[:64] + bytes([signature.parity])
        found = recovered_key(packed, digest)
    except (ValueError, OverflowError):
        return None
    return bytes(found.format(compressed=False))
