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
    """A transaction of value zero: nothing that the platform does moves the chain's own money.

    Parameters
    ----------
    to
        20 bytes, or None to create a contract.
    max_fee_wei : int
        Ceiling of the whole fee per gas.
    tip_wei : int or None
        The part that goes to the block's maker (EIP-1559, type 2). None: a legacy transaction
        (type 0, EIP-155), whose gas price is `max_fee_wei`.
    """

    chain_id: int
    nonce: int
    to: bytes | None
    data: bytes
    gas: int
    max_fee_wei: int
    tip_wei: int | None


class Signer(Protocol):
    """One key. It never leaves the implementation, and never reaches a log.

    A key in a file signs the same bytes every time (RFC 6979); one in hardware may not. Either
    is safe, because what was signed is stored before it is sent, and only that is sent again.
    """

    @property
    def address(self) -> bytes:
        """The key's address, 20 bytes."""
        ...

    def sign_transaction(self, transaction: UnsignedTransaction) -> SignedTransaction:
        """Sign a transaction.

        Raises
        ------
        SignerUnavailable
            The key cannot be reached now.
        SignerRefused
            Whoever holds the key does not let us use it.
        """
        ...

    def sign_typed_data(self, typed_data: dict[str, Any]) -> bytes:
        """Sign EIP-712 data; 65 bytes r, s, v. Raises like `sign_transaction`."""
        ...
