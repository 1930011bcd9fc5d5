"""Keys in encrypted files (Web3 Secret Storage, version 3): the default signer."""

from __future__ import annotations

import json
import os
from pathlib import Path

from eth_account import Account

from chain.errors import SignerRefused
from chain.signing.curve import private_key
from chain.signing.digest import DigestSigner, address_of_point
from chain.signing.envelope import Signature

KDF_ROUNDS = 262_144


class KeystoreSigner(DigestSigner):
    """A key unlocked once, at start.

    Parameters
    ----------
    path
        The keystore file.
    password
        Its password.

    Raises
    ------
    SignerRefused
        The file is missing, no keystore, or locked with another password.
    """

    def __init__(self, path: Path, password: str) -> None:
        try:
            key = Account.decrypt(json.loads(path.read_text("utf-8")), password)
        except FileNotFoundError as error:
            raise SignerRefused(f"SIGNER_KEYSTORE has no file {path.name}.") from error
        except (OSError, ValueError, KeyError, TypeError, NotImplementedError) as error:
            raise SignerRefused(
                f"The keystore {path.name} cannot be opened: {error}. Is SIGNER_PASSWORD right?"
            ) from error
        self._key = private_key(bytes(key))
        self._address = address_of_point(self._key.public_key.format(compressed=False))

    @property
    def address(self) -> bytes:
        return self._address

    def _sign_digest(self, digest: bytes) -> Signature:
        signed = self._key.sign_recoverable(digest, hasher=None)
        return Signature(
            int.from_bytes(signed[:32], "big"), int.from_bytes(signed[32:64], "big"), signed[64]
        )


def create_keystore(path: Path, password: str) -> None:
    """Make a new key and store it encrypted, once: a key that exists is left alone."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    encrypted = Account.encrypt(Account.create().key, password, kdf="pbkdf2", iterations=KDF_ROUNDS)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(encrypted), "utf-8")
    draft.rename(path)
