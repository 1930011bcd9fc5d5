"""The curve secp256k1, by libsecp256k1."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from chain.errors import SignerRefused

if TYPE_CHECKING:
    from coincurve import PrivateKey, PublicKey

__all__ = ["private_key", "recovered_key", "require_coincurve"]


def require_coincurve() -> None:
    """Make sure, before anything is started, that signing will be fast.

    Raises
    ------
    SignerRefused
        The package is missing, or cannot be loaded on this machine.
    """
    try:
        importlib.import_module("coincurve")
    except ImportError as error:
        raise SignerRefused(
            f"The package coincurve cannot be loaded ({error}). Nothing is signed without it: "
            "what stands in for it is nine times slower. Install it with `make setup`."
        ) from error


def private_key(secret: bytes) -> PrivateKey:
    """Give a key that signs."""
    from coincurve import PrivateKey  # noqa: PLC0415 - its absence is told at start

    return PrivateKey(secret)


def recovered_key(signature: bytes, digest: bytes) -> PublicKey:
    """Give the key that made a recoverable signature of 65 bytes over a digest."""
    from coincurve import PublicKey  # noqa: PLC0415 - its absence is told at start

    return PublicKey.from_signature_and_message(signature, digest, hasher=None)
