"""Keys in encrypted files (Web3 Secret Storage, version 3): the default signer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from chain.errors import SignerRefused
from chain.signing.port import SignedTransaction, UnsignedTransaction

KDF_ROUNDS = 262_144


class KeystoreSigner:
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
        self._account: LocalAccount = Account.from_key(key)

    @property
    def address(self) -> bytes:
        return bytes.fromhex(self._account.address.removeprefix("0x"))

    def sign_transaction(self, transaction: UnsignedTransaction) -> SignedTransaction:
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": transaction.chain_id,
            "nonce": transaction.nonce,
            "value": 0,
            "data": transaction.data,
            "gas": transaction.gas,
            "maxFeePerGas": transaction.max_fee_wei,
            "maxPriorityFeePerGas": transaction.tip_wei,
        }
        if transaction.to is not None:
            fields["to"] = transaction.to
        signed = self._account.sign_transaction(fields)
        return SignedTransaction(bytes(signed.raw_transaction), bytes(signed.hash))

    def sign_typed_data(self, typed_data: dict[str, Any]) -> bytes:
        return bytes(self._account.sign_typed_data(full_message=typed_data).signature)


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
