"""Personal data at rest: sealed with rotating keys, found again by a keyed hash."""

from __future__ import annotations

import hashlib
import hmac
import re

from cryptography.fernet import Fernet, MultiFernet

from registry.kernel.errors import RegistryError

# Checked here: base64 decoding skips what it does not know, and would take "key;key" for a key.
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


class VaultKeyMalformed(RegistryError):
    """The key setting is not usable; the service must not start with it."""

    def __init__(self) -> None:
        super().__init__(
            "pii_key_malformed",
            "PII_KEY is not a comma-separated list of Fernet keys (32 bytes, URL-safe base64).",
        )


class Vault:
    """Seals and finds personal identifiers.

    Parameters
    ----------
    keys : str
        Comma-separated Fernet keys, newest first. New values are sealed with the first, and
        any can open. The last one also keys the look-up hash, so keep it when rotating.
    """

    def __init__(self, keys: str) -> None:
        parts = [part.strip() for part in keys.split(",")]
        if not all(_KEY.fullmatch(part) for part in parts):
            raise VaultKeyMalformed
        self._seal = MultiFernet([Fernet(part) for part in parts])
        self._index_key = hashlib.sha256(b"milkiyat-index:" + parts[-1].encode()).digest()

    def seal(self, text: str) -> bytes:
        return self._seal.encrypt(text.encode())

    def unseal(self, sealed: bytes) -> str:
        return self._seal.decrypt(sealed).decode()

    def fingerprint(self, text: str) -> bytes:
        """Return the 32-byte keyed hash under which `text` can be looked up."""
        return hmac.new(self._index_key, text.encode(), hashlib.sha256).digest()
