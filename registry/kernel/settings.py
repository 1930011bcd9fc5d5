"""Every setting, read from the environment here and nowhere else."""

from __future__ import annotations

from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from registry.kernel.failpoints import FORM
from registry.kernel.origins import check_origins

LOOPBACK = frozenset({"127.0.0.1", "localhost"})
KEY = r"^(file|aws-kms|gcp-kms):\S+$"
GWEI = 10**9
DEVELOPMENT_ISSUER = "milkiyat-development"
Finality = int | Literal["safe", "finalized"]
"""Blocks on top of a final one, or the tag by which the node names the newest final one."""

ROOT = Path(__file__).resolve().parent.parent.parent


def _read_finality(value: object) -> Finality:
    text = str(value)
    if text == "safe":
        return "safe"
    if text == "finalized":
        return "finalized"
    if not text.isascii() or not text.isdigit():
        raise ValueError("finality is a number of confirmations from 0, or safe, or finalized")
    return int(text)


class FollowedChain(BaseModel):
    """A chain beside the platform's own: nothing is sent there, adopted tokens are projected."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    chain_id: int = Field(ge=1)
    rpc_url: str = Field(pattern=r"^https?://")
    finality: Annotated[Finality, PlainValidator(_read_finality)] = 12


class Settings(BaseSettings):
    """The service's settings; the defaults run everything embedded, on this machine only."""

    # An empty variable is one that was not set: no empty key is ever taken for a key.
    model_config = SettingsConfigDict(
        extra="ignore", hide_input_in_errors=True, env_ignore_empty=True, populate_by_name=True
    )

    environment: Literal["development", "production"] = "development"
    data_dir: Path = ROOT / ".data"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    devnet_port: int = Field(default=8545, ge=1, le=65535)

    database_url: SecretStr | None = None
    statement_timeout_seconds: int = Field(default=60, ge=0, le=24 * 60 * 60)
    """How long one statement of a request may take; 0: without end."""
    rpc_url: str | None = None
    """One node, or several with commas between them (ADR 0034)."""
    rpc_quorum: int | None = Field(default=None, ge=1)
    """So many nodes must agree; by default half of them, rounded up."""
    rpc_max_behind: int = Field(default=5, ge=1)
    """Blocks; a node further behind the others is left out."""
    rpc_max_per_second: float | None = Field(default=None, ge=1)
    """Calls that one node may get from one process."""
    rpc_ws_url: str | None = Field(default=None, pattern=r"^(off|wss?://\S+)$")
    """Where new blocks are announced; by default RPC_URL over WebSocket."""
    chain_id: int = Field(default=31337, ge=1)
    # CONFIRMATIONS is its name of before; ignored silently, it would make blocks final too early.
    finality: Annotated[Finality, PlainValidator(_read_finality)] = Field(
        default=1, validation_alias=AliasChoices("FINALITY", "CONFIRMATIONS")
    )
    signer_keystore: Path | None = None
    signer_password: SecretStr | None = None

    # Keys: file:NAME in SIGNER_KEYSTORE, aws-kms:KEY?region=…, or gcp-kms:projects/….
    signer_deployer: str = Field(default="file:platform.json", pattern=KEY)
    signer_agents: str | None = Field(default=None, pattern=KEY)
    """Comma-separated: a pool that shares mints and registrations; without it the deployer's."""
    signer_claim_issuer: str = Field(default="file:claim_issuer.json", pattern=KEY)
    signer_confirmer: str = Field(default="file:confirmer.json", pattern=KEY)
    signer_settlement: str | None = Field(default=None, pattern=KEY)
    signer_policy: Path | None = None
    """What each role may sign; without it `chain/signing/policy.json`."""
    signer_warn_operations: int = Field(default=100, ge=1)
    """A key whose money lasts for fewer operations is warned of."""
    gcp_access_token: SecretStr | None = None
    gcp_metadata_url: str = Field(
        default="http://metadata.google.internal", pattern=r"^https?://[^/]+$"
    )

    # Wallets in our custody: where their keys are made, each under a name of its own (ADR 0049).
    custody_keys: str | None = Field(default=None, pattern=r"^(file:$|aws-kms:|gcp-kms:)\S*$")
    """``file:``, ``aws-kms:?region=…`` or ``gcp-kms:projects/…/keyRings/…``; in production none."""
    custody_keystore: Path | None = None
    """The folder of the files, by default ``custody`` in DATA_DIR."""
    custody_password: SecretStr | None = None
    """What encrypts each of them; another than SIGNER_PASSWORD."""

    followed_chains: tuple[FollowedChain, ...] = ()
    """JSON: ``[{"chain_id": 10, "rpc_url": "https://…", "finality": "finalized"}]``."""
    reconcile_holders_per_second: int = Field(default=1_000, ge=1)
    """How many holders the sweep proves on chain, besides those who changed."""

    journal_anchor_minutes: int = Field(default=10, ge=0, le=7 * 24 * 60)
    """How often the journal's root goes on chain, if something new is sealed; 0: when asked to."""

    fee_ceiling_wei: int = Field(default=500 * GWEI, ge=1)
    """The most that is ever offered per gas."""
    fee_tip_wei: int = Field(default=GWEI, ge=0)
    fee_bump_percent: int = Field(default=12, ge=10, le=100)
    """By how much a stuck transaction is raised; nodes want 10 at least."""
    fee_stuck_blocks: int = Field(default=10, ge=1)
    fee_legacy: bool = False
    """The chain knows no EIP-1559."""

    failpoint: str | None = Field(default=None, pattern=FORM)
    """Where a chaos test kills the program, see `registry.kernel.failpoints`."""

    oidc_issuer: str | None = None
    oidc_audience: str = "milkiyat"
    oidc_jwks_url: str | None = Field(default=None, pattern=r"^https?://")
    public_url: str | None = Field(default=None, pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$")
    """Where people reach the API; certificates send them there. In development HOST and PORT."""
    app_domain: str = "localhost"
    """The domain that wallets show when a person signs in (EIP-4361)."""

    passkey_rp_id: str | None = Field(default=None, pattern=r"^[a-z0-9.-]+$")
    """The domain that passkeys are made for; in development `localhost` (ADR 0043)."""
    passkey_rp_name: str = Field(default="Milkiyat", min_length=1, max_length=64)
    passkey_origins: str | None = None
    """Comma-separated: web origins, and ``android:apk-key-hash:…`` of apps."""
    session_key: SecretStr | None = None
    """P-256 keys of access tokens (PKCS #8, base64), comma-separated: the first one signs."""
    session_issuer: str = Field(default="milkiyat", min_length=1)
    """`iss` of those tokens."""
    session_idle_hours: int = Field(default=72, ge=1, le=24 * 90)
    """Without a refresh a session ends after so long."""
    session_max_hours: int = Field(default=720, ge=1, le=24 * 366)
    """However often it is refreshed."""

    pii_key: SecretStr | None = None
    """Fernet keys that seal personal data, newest first."""
    pii_index_key: SecretStr | None = None
    """Fernet key of the hashes by which people are found; it outlives the sealing keys."""
    token_key: SecretStr | None = None
    report_key: SecretStr | None = None
    """Ed25519 keys of reports (PKCS #8, base64), comma-separated: the first one signs."""
    payment_webhook_secret: SecretStr | None = None
    max_upload_bytes: int = Field(default=25 * 1024 * 1024, ge=1)
    max_import_bytes: int = Field(default=512 * 1024 * 1024, ge=1)
    """The largest file of a bulk import."""

    document_store: str | None = Field(
        default=None, pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9/._-]*)?$"
    )
    """Where papers lie: ``s3://bucket/prefix``; without it, a folder in DATA_DIR."""
    s3_endpoint_url: str | None = Field(default=None, pattern=r"^https?://")
    s3_region: str = "us-east-1"
    s3_access_key_id: str | None = None
    s3_secret_access_key: SecretStr | None = None

    rate_limit_principal_per_minute: int = Field(default=6_000, ge=0)
    """Requests of one person or system; 0 limits nothing."""
    rate_limit_address_per_minute: int = Field(default=600, ge=0)
    """Requests from one address whose caller is not known: no credentials, or wrong ones."""
    trusted_proxies: str = "127.0.0.1"
    """Addresses and networks whose X-Forwarded-For is believed, comma-separated."""

    # Traces: the names are OpenTelemetry's own. Its SDK reads the rest of OTEL_* itself.
    otel_exporter_otlp_endpoint: str | None = Field(default=None, pattern=r"^https?://")
    otel_exporter_otlp_traces_endpoint: str | None = Field(default=None, pattern=r"^https?://")
    otel_sdk_disabled: bool = False
    otel_traces_exporter: Literal["otlp", "none"] = "otlp"

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

    @property
    def public_base(self) -> str:
        """Where people reach the API, without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def relying_party_id(self) -> str | None:
        """The domain of passkeys; None where there are none."""
        return self.passkey_rp_id or (None if self.is_production else "localhost")

    @property
    def passkey_origin_list(self) -> tuple[str, ...]:
        if self.passkey_origins is None and not self.is_production:
            return (f"http://localhost:{self.port}",)
        named = (self.passkey_origins or "").split(",")
        return tuple(origin.strip() for origin in named if origin.strip())

    @property
    def is_traced(self) -> bool:
        named = self.otel_exporter_otlp_endpoint or self.otel_exporter_otlp_traces_endpoint
        is_off = self.otel_sdk_disabled or self.otel_traces_exporter == "none"
        return named is not None and not is_off

    @property
    def node_urls(self) -> list[str]:
        """The nodes of RPC_URL, in the order in which they are named."""
        named = (self.rpc_url or "").split(",")
        return [url.strip() for url in named if url.strip()]

    @property
    def agent_keys(self) -> list[str]:
        """The keys of the pool, in the order in which they are named."""
        return self.signer_agents.split(",") if self.signer_agents else []

    @property
    def signer_keys(self) -> list[str]:
        """Every key that the settings name."""
        named = (self.signer_deployer, self.signer_claim_issuer, self.signer_confirmer)
        return [*named, *self.agent_keys, *filter(None, [self.signer_settlement])]

    @property
    def custody_place(self) -> str | None:
        """Where keys of custodial wallets are made; None where there are none."""
        return self.custody_keys or (None if self.is_production else "file:")

    @property
    def _has_key_files(self) -> bool:
        return any(key.startswith("file:") for key in self.signer_keys)

    @model_validator(mode="after")
    def _development_stays_at_home(self) -> Self:
        # The development issuer signs anybody in as anybody.
        if not self.is_production and self.host not in LOOPBACK:
            raise ValueError(
                f"HOST={self.host} would let the network in; without ENVIRONMENT=production the "
                f"service listens on {' or '.join(sorted(LOOPBACK))} only"
            )
        return self

    @model_validator(mode="after")
    def _proxies_are_addresses(self) -> Self:
        # A star would let everybody say where they come from, and so use up others' quotas.
        for proxy in self.trusted_proxies.split(","):
            try:
                ip_network(proxy.strip(), strict=False)
            except ValueError as error:
                raise ValueError(
                    f"TRUSTED_PROXIES names {proxy.strip()!r}, which is no address and no network"
                ) from error
        return self

    @model_validator(mode="after")
    def _quorum_can_be_reached(self) -> Self:
        nodes = max(len(self.node_urls), 1)
        if self.rpc_quorum is not None and self.rpc_quorum > nodes:
            raise ValueError(f"RPC_QUORUM={self.rpc_quorum} nodes, but RPC_URL names {nodes}")
        return self

    @model_validator(mode="after")
    def _each_chain_is_named_once(self) -> Self:
        named = [self.chain_id, *(other.chain_id for other in self.followed_chains)]
        if len(set(named)) < len(named):
            raise ValueError("FOLLOWED_CHAINS names a chain twice, or the one of CHAIN_ID")
        return self

    @model_validator(mode="after")
    def _issuer_has_its_keys(self) -> Self:
        if not self.is_production and (self.oidc_issuer is None) != (self.oidc_jwks_url is None):
            raise ValueError("OIDC_ISSUER and OIDC_JWKS_URL are set together, or neither is")
        return self

    @model_validator(mode="after")
    def _keys_come_unaltered(self) -> Self:
        # Whoever can alter the keys on their way signs anybody in.
        url = urlsplit(self.oidc_jwks_url or "")
        if self.is_production and url.scheme == "http" and url.hostname not in LOOPBACK:
            raise ValueError(
                "OIDC_JWKS_URL begins with http; ENVIRONMENT=production asks for its keys by "
                "https, or on this machine"
            )
        return self

    @model_validator(mode="after")
    def _public_url_is_whole(self) -> Self:
        # Whoever scans a certificate believes the answer: nobody may alter it on its way.
        url = urlsplit(self.public_url or "")
        if self.is_production and url.scheme == "http" and url.hostname not in LOOPBACK:
            raise ValueError("PUBLIC_URL begins with http; ENVIRONMENT=production wants https")
        return self

    @model_validator(mode="after")
    def _passkeys_are_whole(self) -> Self:
        parts = (self.passkey_rp_id, self.passkey_origins, self.session_key)
        if self.is_production and None in parts and parts != (None, None, None):
            raise ValueError(
                "PASSKEY_RP_ID, PASSKEY_ORIGINS and SESSION_KEY are set together, or none is"
            )
        rp_id = self.relying_party_id
        if rp_id is not None:
            check_origins(rp_id, self.passkey_origin_list, is_production=self.is_production)
        if self.session_issuer in {self.oidc_issuer, DEVELOPMENT_ISSUER}:
            raise ValueError("SESSION_ISSUER names another issuer than ours")
        return self

    @model_validator(mode="after")
    def _custody_keeps_its_keys(self) -> Self:
        if self.is_production and self.custody_keys == "file:":
            parts = (self.custody_keystore, self.custody_password)
            if None in parts:
                raise ValueError("CUSTODY_KEYS=file: needs CUSTODY_KEYSTORE and CUSTODY_PASSWORD")
        return self

    @model_validator(mode="after")
    def _store_has_both_halves_of_its_key(self) -> Self:
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise ValueError(
                "S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are set together, or neither is"
            )
        return self

    @model_validator(mode="after")
    def _tip_is_within_the_fee(self) -> Self:
        if self.fee_tip_wei > self.fee_ceiling_wei:
            raise ValueError("FEE_TIP_WEI is more than FEE_CEILING_WEI, the whole fee")
        return self

    @model_validator(mode="after")
    def _production_is_complete(self) -> Self:
        if self.is_production:
            needed = (
                "database_url",
                "rpc_url",
                *(("signer_keystore", "signer_password") if self._has_key_files else ()),
                "oidc_issuer",
                "oidc_jwks_url",
                "pii_key",
                "pii_index_key",
                "token_key",
                "report_key",
                "payment_webhook_secret",
                "public_url",
            )
            missing = [name.upper() for name in needed if getattr(self, name) is None]
            if missing:
                raise ValueError(f"ENVIRONMENT=production needs {', '.join(missing)}")
            if self.failpoint is not None:
                raise ValueError("FAILPOINT kills the program; ENVIRONMENT=production refuses it")
        return self


@cache
def get_settings() -> Settings:
    return Settings()
