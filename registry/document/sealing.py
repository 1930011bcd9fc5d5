"""Sealing papers as they stream by: a key for each, chunk by chunk, no paper whole in memory.

A sealed paper is a header and AES-256-GCM chunks. Each chunk's nonce counts it and says whether
it is the last, so that none can be dropped, repeated, moved or cut off unnoticed (the STREAM
construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from registry.kernel.vault import SealBroken

MAGIC = b"MILK1"
KEY_BYTES = 32
CHUNK_BYTES = 64 * 1024
_PREFIX_BYTES = 7
_TAG_BYTES = 16


def new_key() -> bytes:
    return AESGCM.generate_key(bit_length=8 * KEY_BYTES)


def seal(paper: BinaryIO, key: bytes) -> Iterator[bytes]:
    """Yield the sealed form of what is left to read of `paper`.

    Parameters
    ----------
    key : bytes
        32 bytes, of this paper alone.
    """
    cipher, prefix = AESGCM(key), secrets.token_bytes(_PREFIX_BYTES)
    yield MAGIC + prefix
    for number, chunk, last in _chunks(paper, CHUNK_BYTES):
        yield cipher.encrypt(_nonce(prefix, number, last), chunk, MAGIC)


def unseal(sealed: BinaryIO, key: bytes) -> Iterator[bytes]:
    """Yield the paper, each chunk proven before it is given out.

    Raises
    ------
    SealBroken
        Another key sealed it, or it is not whole.
    """
    header = sealed.read(len(MAGIC) + _PREFIX_BYTES)
    cipher, prefix = AESGCM(key), header[len(MAGIC) :]
    if header[: len(MAGIC)] != MAGIC or len(prefix) != _PREFIX_BYTES:
        raise SealBroken
    for number, chunk, last in _chunks(sealed, CHUNK_BYTES + _TAG_BYTES):
        try:
            yield cipher.decrypt(_nonce(prefix, number, last), chunk, MAGIC)
        except InvalidTag as error:
            raise SealBroken from error


def _chunks(source: BinaryIO, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Yield number, content, and whether it is the last; there is always one."""
    number, chunk = 0, source.read(size)
    while following := source.read(size):
        yield number, chunk, False
        number, chunk = number + 1, following
    yield number, chunk, True


def _nonce(prefix: bytes, number: int, last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + (b"\1" if last else b"\0")
