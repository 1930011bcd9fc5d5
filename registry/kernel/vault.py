"""Personal data at rest: sealed with rotating keys, found again by a keyed hash."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from registry.kernel.errors import RegistryError

# Checked here: base64 decoding skips what it does not know, and would take "key;key" for a key.
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


class VaultKeyMalformed(RegistryError):
    """A key setting is not usable; the service must not start with it."""

    def __init__(self) -> None:
        super().__init__(
            "pii_key_malformed",
            "PII_KEY is not a comma-separated list of Fernet keys (32 bytes, URL-safe base64), or "
            "PII_INDEX_KEY is not one such key.",
        )


class SealBroken(Exception):
    """Sealed data does not open: its key was dropped, or it was altered. An alarm."""

    def __init__(self) -> None:
        super().__init__("Sealed data does not open with any key of PII_KEY, or was altered.")


class Vault:
    """Seals personal data, and finds it again.

    Parameters
    ----------
    keys : str
        Comma-separated Fernet keys, newest first. New values are sealed with the first, and
        any can open. Once `milkiyat keys rotate` has run, the others can be dropped.
    index_key : str
        Keys the hashes under which a person is found. It stands apart from `keys`, so that
        sealing keys can be rotated while everybody is still found.
    """

    def __init__(self, keys: str, index_key: str) -> None:
        parts = [part.strip() for part in keys.split(",")]
        index_key = index_key.strip()
        if not all(_KEY.fullmatch(part) for part in (*parts, index_key)):
            raise VaultKeyMalformed
        self._seal = MultiFernet([Fernet(part) for part in parts])
        self._index_key = hashlib.sha256(b"milkiyat-index:" + index_key.encode()).digest()
        self.key_id = hashlib.sha256(f"milkiyat-keys:{parts[0]}:{index_key}".encode()).digest()[:8]
        """Names the pair of keys with which values are sealed and indexed now."""

    def seal(self, text: str) -> bytes:
        return self.seal_bytes(text.encode())

    def unseal(self, sealed: bytes) -> str:
        """Open what `seal` sealed.

        Raises
        ------
        SealBroken
            Also of bytes that are no text: they were sealed as something else.
        """
        content = self.unseal_bytes(sealed)
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise SealBroken from error

    def seal_bytes(self, content: bytes) -> bytes:
        return self._seal.encrypt(content)

    def unseal_bytes(self, sealed: bytes) -> bytes:
        """Open what `seal_bytes` sealed.

        Raises
        ------
        SealBroken
        """
        try:
            return self._seal.decrypt(sealed)
        except InvalidToken as error:
            raise SealBroken from error

    def fingerprint(self, text: str) -> bytes:
        """Return the 32-byte keyed hash under which `text` can be looked up."""
        return hmac.new(self._index_key, text.encode(), hashlib.sha256).digest()


def said_in(text: str, row_id: UUID, *names: str) -> dict[str, Any]:
    """Read what was sealed of one row, as JSON that names it.

    A seal that opens may still have been moved here, from another row or another column.

    Parameters
    ----------
    names
        What it says beside the id.

    Raises
    ------
    SealBroken
    """
    try:
        said: object = json.loads(text)
    except ValueError as error:
        raise SealBroken from error
    if not isinstance(said, dict) or said.get("id") != str(row_id) or not said.keys() >= {*names}:
        raise SealBroken
    return said
