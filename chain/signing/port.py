"""What signs: a port, so that a key may lie in a file or in a cloud's hardware."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction, ready to be sent any number of times."""

    raw: bytes
    tx_hash: bytes


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """An EIP-1559 transaction of value zero.

    Parameters
    ----------
    to
        20 bytes, or None to create a contract.
    max_fee_wei, tip_wei : int
        Ceiling of the whole fee, and of the part that goes to the block's maker, per gas.
    """

    chain_id: int
    nonce: int
    to: bytes | None
    data: bytes
    gas: int
    max_fee_wei: int
    tip_wei: int


class Signer(Protocol):
    """One key. It never leaves the implementation, and never reaches a log."""

    @property
    def address(self) -> bytes:
        """The key's address, 20 bytes."""
        ...

    def sign_transaction(self, transaction: UnsignedTransaction) -> SignedTransaction:
        """Sign deterministically (RFC 6979): the same transaction gives the same bytes."""
        ...

    def sign_typed_data(self, typed_data: dict[str, Any]) -> bytes:
        """Sign EIP-712 data; 65 bytes r, s, v."""
        ...
