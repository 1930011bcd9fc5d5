"""Proof that somebody controls a wallet: Sign-In with Ethereum (EIP-4361)."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from types import ModuleType

from registry.kernel.errors import Conflict

STATEMENT = "I control this wallet, and Milkiyat may put my holdings on it."


def write_challenge(
    *, address: str, domain: str, chain_id: int, issued_at: datetime, expires_at: datetime
) -> str:
    """Write the message that the wallet has to sign, with a nonce of its own."""
    siwe = _siwe()
    message = siwe.SiweMessage(
        scheme=None,
        domain=domain,
        address=address,
        statement=STATEMENT,
        uri=f"https://{domain}/",
        version="1",
        chain_id=chain_id,
        nonce=siwe.generate_nonce(),
        issued_at=issued_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        expiration_time=expires_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
    )
    return str(message.prepare_message())


def check_proof(*, challenge: str, signature: str, domain: str) -> None:
    """Check that the wallet named in the challenge signed exactly the challenge.

    Raises
    ------
    Conflict
        ``wallet_proof_refused``.
    """
    siwe = _siwe()
    message = siwe.SiweMessage.from_message(challenge)
    try:
        message.verify(signature, domain=domain, nonce=message.nonce)
    except (siwe.VerificationError, ValueError) as error:
        raise Conflict(
            "wallet_proof_refused",
            "The signature is not this wallet's signature of this message.",
            remedy="Sign the challenge exactly as given, with the wallet that it names.",
        ) from error


@cache
def _siwe() -> ModuleType:
    """Load the library at its first use: building its grammars would double our start-up."""
    import siwe  # noqa: PLC0415

    module: ModuleType = siwe
    return module
