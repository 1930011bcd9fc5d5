"""Opening the chain that the settings name: a node, and the keys that sign."""

from __future__ import annotations

from pathlib import Path

from eth_keys.backends import get_backend_class

from chain.client import ChainClient, hex_of
from chain.devnet import Devnet
from chain.errors import SignerRefused
from chain.operations.effect import Chain
from chain.signing.keystore import KeystoreSigner, create_keystore
from registry.kernel.settings import Settings

PLATFORM_KEY = "platform.json"
CLAIM_KEY = "claim_issuer.json"
CONFIRMER_KEY = "confirmer.json"
DEVNET_BALANCE_WEI = 10**24


def open_chain(settings: Settings, rpc_url: str) -> Chain:
    """Connect, and unlock the keys.

    Raises
    ------
    RpcUnavailable, WrongChain
        The node is away, or serves another chain.
    SignerRefused
        A key cannot be opened, or signing would be nine times too slow.
    """
    if "CoinCurve" not in get_backend_class().__name__:
        raise SignerRefused("coincurve is not installed; it signs nine times faster.")
    client = ChainClient(rpc_url, settings.chain_id)
    client.check()
    directory = settings.signer_keystore or embedded_keys(settings)
    if settings.signer_password is None:
        raise SignerRefused("SIGNER_KEYSTORE needs SIGNER_PASSWORD.")
    password = settings.signer_password.get_secret_value()
    return Chain(
        client=client,
        platform=KeystoreSigner(directory / PLATFORM_KEY, password),
        claim_signer=KeystoreSigner(directory / CLAIM_KEY, password),
        confirmer=KeystoreSigner(directory / CONFIRMER_KEY, password),
    )


def embedded_keys(settings: Settings) -> Path:
    """Return the folder of the embedded keys, making them the first time."""
    assert settings.signer_password is not None, "the embedded secrets hold one"
    directory = settings.data_dir / "keys"
    for name in (PLATFORM_KEY, CLAIM_KEY, CONFIRMER_KEY):
        create_keystore(directory / name, settings.signer_password.get_secret_value())
    return directory


def fund_platform(devnet: Devnet, chain: Chain) -> None:
    """Give the platform's keys what they spend on the embedded chain."""
    for signer in chain.senders:
        devnet.fund(hex_of(signer.address), DEVNET_BALANCE_WEI)
