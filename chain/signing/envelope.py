"""Transactions as bytes: what is signed, what is sent, and back again.

Type 2 (EIP-1559) without access list, and type 0 with the chain in its signature (EIP-155).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import rlp
from eth_utils.crypto import keccak

from chain.signing.port import SignedTransaction, UnsignedTransaction

_DYNAMIC_FEE = b"\x02"
_EIP155_OFFSET = 35


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature by a secp256k1 key.

    Parameters
    ----------
    s
        At most half of the curve's order (EIP-2).
    parity
        0 or 1: of the y of the point whose x is `r`.
    """

    r: int
    s: int
    parity: int

    def to_bytes(self) -> bytes:
        """Give r, s and v = 27 + parity, as contracts take it."""
        return self.r.to_bytes(32, "big") + self.s.to_bytes(32, "big") + bytes([27 + self.parity])


def digest_of(transaction: UnsignedTransaction) -> bytes:
    """Give the 32 bytes that a key signs."""
    fields = _fields(transaction)
    if transaction.tip_wei is None:
        return keccak(_encode([*fields, transaction.chain_id, 0, 0]))
    return keccak(_DYNAMIC_FEE + _encode(fields))


def seal(transaction: UnsignedTransaction, signature: Signature) -> SignedTransaction:
    """Put transaction and signature together."""
    fields = _fields(transaction)
    if transaction.tip_wei is None:
        v = _EIP155_OFFSET + 2 * transaction.chain_id + signature.parity
        raw = _encode([*fields, v, signature.r, signature.s])
    else:
        raw = _DYNAMIC_FEE + _encode([*fields, signature.parity, signature.r, signature.s])
    return SignedTransaction(raw, keccak(raw))


def read_signed(raw: bytes) -> UnsignedTransaction:
    """Give the transaction that `seal` made the bytes of."""
    if raw[:1] != _DYNAMIC_FEE:
        nonce, price, gas, to, _, data, v, _, _ = rlp.decode(raw)
        return UnsignedTransaction(
            chain_id=(_number(v) - _EIP155_OFFSET) // 2,
            nonce=_number(nonce),
            to=to or None,
            data=data,
            gas=_number(gas),
            max_fee_wei=_number(price),
            tip_wei=None,
        )
    chain_id, nonce, tip, max_fee, gas, to, _, data, *_ = rlp.decode(raw[1:])
    return UnsignedTransaction(
        chain_id=_number(chain_id),
        nonce=_number(nonce),
        to=to or None,
        data=data,
        gas=_number(gas),
        max_fee_wei=_number(max_fee),
        tip_wei=_number(tip),
    )


def _fields(transaction: UnsignedTransaction) -> list[int | bytes | list[bytes]]:
    to, value = transaction.to or b"", 0
    if transaction.tip_wei is None:
        price = transaction.max_fee_wei
        return [transaction.nonce, price, transaction.gas, to, value, transaction.data]
    return [
        transaction.chain_id,
        transaction.nonce,
        transaction.tip_wei,
        transaction.max_fee_wei,
        transaction.gas,
        to,
        value,
        transaction.data,
        [],
    ]


def _encode(fields: Sequence[int | bytes | list[bytes]]) -> bytes:
    return bytes(rlp.encode([_word(each) if isinstance(each, int) else each for each in fields]))


def _word(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big")
