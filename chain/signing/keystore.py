"""Keys in encrypted files (Web3 Secret Storage, version 3): the default signer."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
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


def create_keystore(path: Path, password: str, *, rounds: int = KDF_ROUNDS) -> None:
    """Make a new key and store it encrypted, once: a key that exists is left alone."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    encrypted = Account.encrypt(Account.create().key, password, kdf="pbkdf2", iterations=rounds)
    draft = path.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    with draft.open("w", encoding="utf-8") as file:
        json.dump(encrypted, file)
        file.flush()
        os.fsync(file.fileno())
    # Linked into place whole: of two makers at one moment, the second leaves the first one's key.
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(draft)
    draft.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the name of a new key survive a power cut: its address may be told from now on."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
