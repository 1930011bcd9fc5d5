"""Proof that somebody controls a wallet: Sign-In with Ethereum (EIP-4361), or what it signed.

A key proves itself by its signature, and no node is asked. Else the wallet may be a contract,
which says by EIP-1271 whether it takes the signature: asked at one block, with a bound on its gas.
One that is not deployed yet says with the signature how it will be (EIP-6492).
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from types import ModuleType
from typing import Any

from eth_abi.abi import encode
from eth_account.messages import encode_defunct
from eth_utils.address import to_canonical_address
from eth_utils.crypto import keccak

from chain.errors import ChainError, RpcRefused
from chain.node.client import ChainClient, bytes_of, call_params, hex_of
from chain.signing.curve import recovered_key
from chain.signing.digest import address_of_point
from chain.signing.kms import ORDER
from registry.kernel.errors import Conflict, Unavailable

STATEMENT = "I control this wallet, and Milkiyat may put my holdings on it."
SELECTOR = bytes.fromhex("1626ba7e")
"""Of `isValidSignature(bytes32,bytes)`, and what it answers where it takes the signature."""

MAX_GAS = 3_000_000
"""A contract that checks a passkey's curve in Solidity takes a tenth of it."""

_KEY_SIGNATURE_BYTES = 65
_UNDEPLOYED_MARK = bytes.fromhex("6492" * 16)
_PARITIES = {0: 0, 1: 1, 27: 0, 28: 1}
"""By the last byte of a signature; a few wallets leave the offset out."""

_OF_THE_CODE = ("gas", "opcode", "evm", "jump", "stack", "returndata", "static")
"""Words by which nodes say that the code failed where they give no data of a revert."""


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


def check_proof(client: ChainClient, *, challenge: str, signature: str, domain: str) -> None:
    """Check that the wallet named in the challenge signed exactly the challenge.

    Parameters
    ----------
    challenge
        As `write_challenge` wrote it.
    signature
        0x-hex, of any length: contracts have forms of their own.

    Raises
    ------
    Conflict
        ``wallet_proof_refused``; ``contract_wallet_failed``: it is a contract that gives no answer.
    Unavailable
        ``chain_unavailable``: it is no key's, and no node says whether it is a contract's.
    """
    message = _siwe().SiweMessage.from_message(challenge)
    if message.domain != domain:
        raise _refused("It was written for another domain than ours.")
    address = to_canonical_address(message.address)
    check_signature(client, address, digest_of(challenge), bytes_of(signature))


def check_signature(client: ChainClient, address: bytes, digest: bytes, signature: bytes) -> None:
    """Check that a wallet signed a digest: by its key, or by its contract.

    Raises
    ------
    Conflict, Unavailable
        As `check_proof`.
    """
    if signer_of(signature, digest) == address:
        return
    try:
        _ask_contract(client, address, digest, signature)
    except RpcRefused as refused:
        if refused.is_revert or any(word in refused.message.lower() for word in _OF_THE_CODE):
            raise _failed("stops with an error or uses up all of its gas") from refused
        raise _node_away() from refused
    except ChainError as error:
        raise _node_away() from error


def digest_of(challenge: str) -> bytes:
    """Give what a wallet signs of a message (EIP-191, version 0x45)."""
    message = encode_defunct(text=challenge)
    return keccak(b"\x19" + message.version + message.header + message.body)


def signer_of(signature: bytes, digest: bytes) -> bytes | None:
    """Give the address whose key made a signature; None where no key can have."""
    if len(signature) != _KEY_SIGNATURE_BYTES or signature[64] not in _PARITIES:
        return None
    # One signature of each message (EIP-2).
    if int.from_bytes(signature[32:64], "big") > ORDER // 2:
        return None
    try:
        key = recovered_key(signature[:64] + bytes([_PARITIES[signature[64]]]), digest)
    except ValueError:
        return None
    return address_of_point(key.format(compressed=False))


def _ask_contract(client: ChainClient, address: bytes, digest: bytes, signature: bytes) -> None:
    # One block for both questions, by its hash: no reorg between them, and no node that lags.
    asked = SELECTOR + encode(["bytes32", "bytes"], [digest, signature])
    call, at = call_params(address, asked, None, client.head().hash)
    if signature.endswith(_UNDEPLOYED_MARK):
        _ask_validator(client, address, digest, signature, at)
        return
    if not bytes_of(client.request("eth_getCode", call["to"], at)):
        raise _refused("It is no signature by this wallet's key, and no contract stands there.")
    answer = bytes_of(client.request("eth_call", {**call, "gas": hex(MAX_GAS)}, at))
    if len(answer) < 32:  # noqa: PLR2004 (a word of the EVM)
        raise _failed("answers with no word: it knows no EIP-1271")
    if answer[:32] != SELECTOR.ljust(32, b"\0"):
        raise _refused("The contract at this address does not take the signature.")


def _ask_validator(
    client: ChainClient, address: bytes, digest: bytes, signature: bytes, at: Any
) -> None:
    """Have the published validator deploy the wallet within the call, and ask it."""
    validator = bytes_of(_siwe().siwe.EIP6492_VALIDATOR_BYTECODE)
    asked = encode(["address", "bytes32", "bytes"], [hex_of(address), digest, signature])
    call = {"data": hex_of(validator + asked), "gas": hex(MAX_GAS)}
    if bytes_of(client.request("eth_call", call, at)) != b"\x01":
        raise _refused("The contract that would stand there does not take the signature.")


def _refused(why: str) -> Conflict:
    return Conflict(
        "wallet_proof_refused",
        f"The signature is not this wallet's signature of this message. {why}",
        remedy="Sign exactly what was given, with the wallet that it names.",
    )


def _failed(how: str) -> Conflict:
    return Conflict(
        "contract_wallet_failed",
        f"The contract at this address {how}.",
        remedy="Use a wallet whose contract has isValidSignature(bytes32,bytes), or a key.",
    )


def _node_away() -> Unavailable:
    return Unavailable(
        "chain_unavailable",
        "It is no signature by this wallet's key, and whether it is a contract's the chain's node "
        "does not tell now; try again soon.",
    )


@cache
def _siwe() -> ModuleType:
    """Load the library at its first use: building its grammars would double our start-up."""
    import siwe  # noqa: PLC0415

    module: ModuleType = siwe
    return module
