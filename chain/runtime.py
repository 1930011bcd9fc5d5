"""Opening the chain that the settings name: a node, and the keys that sign."""

from __future__ import annotations

from pathlib import Path

from chain.embedded.devnet import Devnet
from chain.errors import SignerRefused
from chain.node.client import TIMEOUT_SECONDS, ChainClient, hex_of
from chain.node.nodes import connect
from chain.operations.effect import Chain
from chain.signing.curve import require_coincurve
from chain.signing.gcp_kms import AccessTokens
from chain.signing.keystore import create_keystore
from chain.signing.policies import FeePolicy, SigningPolicy, load_policy
from chain.signing.port import Signer
from chain.signing.uri import keystore_name, open_signer
from chain.signing.wallet_keys import StoredWalletKeys, WalletKeys
from registry.kernel.settings import Settings

DEVNET_BALANCE_WEI = 10**24


def open_chain(settings: Settings, rpc_url: str) -> Chain:
    """Connect, and unlock the keys.

    Raises
    ------
    RpcUnavailable, WrongChain
        The node is away, or serves another chain.
    SignerRefused
        A key or the policy cannot be used, or coincurve is missing.
    SignerUnavailable
        The service that holds a key does not answer.
    """
    require_coincurve()
    client = open_client(settings, rpc_url)
    client.check()
    keys = _Keys(settings)
    settlement = settings.signer_settlement
    chain = Chain(
        client=client,
        platform=keys.open(settings.signer_deployer),
        claim_signer=keys.open(settings.signer_claim_issuer),
        confirmer=keys.open(settings.signer_confirmer),
        agents=tuple(keys.open(uri) for uri in settings.agent_keys),
        settlement=keys.open(settlement) if settlement else None,
        custody=keys.custody(settings),
        fees=_fee_policy(settings),
        policy=_signing_policy(settings),
    )
    _require_apart(chain)
    return chain


def open_client(
    settings: Settings, rpc_url: str, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> ChainClient:
    """Give a client of the nodes that the settings name; nothing is asked yet.

    Parameters
    ----------
    rpc_url
        One address, or several with commas between them.
    """
    return connect(
        rpc_url,
        settings.chain_id,
        timeout_seconds=timeout_seconds,
        per_second=settings.rpc_max_per_second,
        agreeing=settings.rpc_quorum,
        most_behind=settings.rpc_max_behind,
    )


class _Keys:
    """Opens each key once, however often the settings name it."""

    def __init__(self, settings: Settings) -> None:
        token, password = settings.gcp_access_token, settings.signer_password
        self._directory = settings.signer_keystore or embedded_keys(settings)
        self._password = password.get_secret_value() if password else None
        self._tokens = AccessTokens(
            token.get_secret_value() if token else None, settings.gcp_metadata_url
        )
        self._opened: dict[str, Signer] = {}

    def open(self, uri: str) -> Signer:
        if uri not in self._opened:
            self._opened[uri] = open_signer(
                uri, directory=self._directory, password=self._password, tokens=self._tokens
            )
        return self._opened[uri]

    def custody(self, settings: Settings) -> WalletKeys | None:
        """Give the keys of custodial wallets, where the settings want any."""
        password = settings.custody_password
        # The embedded secrets hold one; who opens a chain without them wants no custody.
        if settings.custody_place is None or not (settings.custody_keys or password):
            return None
        return StoredWalletKeys(
            settings.custody_place,
            directory=settings.custody_keystore or settings.data_dir / "custody",
            password=password.get_secret_value() if password else None,
            tokens=self._tokens,
        )


def _fee_policy(settings: Settings) -> FeePolicy:
    return FeePolicy(
        ceiling_wei=settings.fee_ceiling_wei,
        tip_wei=settings.fee_tip_wei,
        bump_percent=settings.fee_bump_percent,
        stuck_blocks=settings.fee_stuck_blocks,
        legacy=settings.fee_legacy,
    )


def _signing_policy(settings: Settings) -> SigningPolicy:
    return load_policy(settings.signer_policy) if settings.signer_policy else load_policy()


def _require_apart(chain: Chain) -> None:
    """Refuse keys that are one where two are meant."""
    if chain.confirmer.address in {chain.platform.address, *(key.address for key in chain.agents)}:
        raise SignerRefused(
            "SIGNER_CONFIRMER is the key of another role; the end of a halt takes two keys."
        )
    if len({key.address for key in chain.agents}) < len(chain.agents):
        raise SignerRefused("SIGNER_AGENTS names a key twice.")


def embedded_keys(settings: Settings) -> Path:
    """Return the folder of the embedded keys, making them the first time."""
    directory = settings.data_dir / "keys"
    for name in filter(None, map(keystore_name, settings.signer_keys)):
        assert settings.signer_password is not None, "the embedded secrets hold one"
        create_keystore(directory / name, settings.signer_password.get_secret_value())
    return directory


def fund_platform(devnet: Devnet, chain: Chain) -> None:
    """Give the platform's keys what they spend on the embedded chain."""
    for signer in chain.senders:
        devnet.fund(hex_of(signer.address), DEVNET_BALANCE_WEI)
