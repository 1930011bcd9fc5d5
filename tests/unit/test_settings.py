from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from registry.kernel.settings import Settings

pytestmark = pytest.mark.unit

PRODUCTION = {
    "DATABASE_URL": "postgresql://registrar:hunter2@db/milkiyat",
    "RPC_URL": "https://rpc.example",
    "SIGNER_KEYSTORE": "/run/keystore.json",
    "SIGNER_PASSWORD": "hunter3",
    "OIDC_ISSUER": "https://id.example",
    "OIDC_JWKS_URL": "https://id.example/keys",
    "PII_KEY": "hunter4",
    "PII_INDEX_KEY": "hunter7",
    "TOKEN_KEY": "hunter5",
    "REPORT_KEY": "hunter8",
    "PAYMENT_WEBHOOK_SECRET": "hunter6",
    "PUBLIC_URL": "https://register.example",
}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_settings__nothing_set__runs_embedded_on_this_machine_only() -> None:
    settings = Settings()

    assert not settings.is_production
    assert settings.host == "127.0.0.1"
    assert settings.database_url is None
    assert settings.rpc_url is None


def test_settings__environment__is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PORT", "9000")

    settings = Settings()

    assert (settings.data_dir, settings.port) == (tmp_path, 9000)


def test_settings__production_complete__is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ENVIRONMENT", "production")

    settings = Settings()

    assert settings.is_production
    assert settings.pii_key == SecretStr("hunter4")


@pytest.mark.parametrize("missing", PRODUCTION)
def test_settings__production_without_one__names_exactly_it(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for name, value in PRODUCTION.items():
        if name != missing:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("ENVIRONMENT", "production")

    with pytest.raises(ValidationError) as refusal:
        Settings()

    assert f"ENVIRONMENT=production needs {missing}" in str(refusal.value).splitlines()[1]
    assert "hunter" not in str(refusal.value)


def test_settings__production_without_anything__names_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")

    with pytest.raises(ValidationError, match=f"needs {', '.join(PRODUCTION)}"):
        Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "0"), ("PORT", "65536"), ("ENVIRONMENT", "staging"), ("LOG_LEVEL", "loud"),
     ("CHAIN_ID", "0"), ("FINALITY", "-1"), ("FEE_BUMP_PERCENT", "9"),
     ("FEE_STUCK_BLOCKS", "0"), ("SIGNER_DEPLOYER", "platform.json"), ("SIGNER_AGENTS", "a b"),
     ("FAILPOINT", "after_sign_commit"), ("FAILPOINT", "after_sign_commit:kill:0"),
     ("RPC_QUORUM", "0"), ("RPC_MAX_BEHIND", "0"), ("RPC_MAX_PER_SECOND", "0"),
     ("RPC_WS_URL", "https://node.example"), ("RATE_LIMIT_PRINCIPAL_PER_MINUTE", "-1"),
     ("RATE_LIMIT_ADDRESS_PER_MINUTE", "many")],
)  # fmt: skip
def test_settings__value_out_of_range__is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_settings__several_nodes__are_named_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPC_URL", "https://one.example, https://two.example/key,")
    monkeypatch.setenv("RPC_QUORUM", "2")

    assert Settings().node_urls == ["https://one.example", "https://two.example/key"]


@pytest.mark.parametrize(
    ("urls", "wanted"), [("", 2), ("https://a.example", 2), ("https://a,https://b", 3)]
)
def test_settings__quorum_of_more_nodes_than_there_are__is_refused(
    monkeypatch: pytest.MonkeyPatch, urls: str, wanted: int
) -> None:
    monkeypatch.setenv("RPC_URL", urls)
    monkeypatch.setenv("RPC_QUORUM", str(wanted))

    with pytest.raises(ValidationError, match="RPC_QUORUM"):
        Settings()


@pytest.mark.parametrize("proxies", ["*", "proxy.example", "192.0.2.1,*", "192.0.2.0/33"])
def test_settings__proxies_that_are_no_addresses__are_refused(
    monkeypatch: pytest.MonkeyPatch, proxies: str
) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", proxies)

    with pytest.raises(ValidationError, match="TRUSTED_PROXIES"):
        Settings()


def test_settings__proxies_and_networks__are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", "192.0.2.1, 10.0.0.0/8,2001:db8::/32")

    assert Settings().trusted_proxies == "192.0.2.1, 10.0.0.0/8,2001:db8::/32"


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("http://id.example/keys", False),
        ("http://127.0.0.1.example/keys", False),
        ("http://127.0.0.1:9000/keys", True),
        ("https://id.example/keys", True),
    ],
)
def test_settings__keys_of_the_issuer_in_production__come_unaltered(
    monkeypatch: pytest.MonkeyPatch, url: str, is_taken: bool
) -> None:
    for name, value in (PRODUCTION | {"OIDC_JWKS_URL": url}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ENVIRONMENT", "production")

    if is_taken:
        assert Settings().oidc_jwks_url == url
    else:
        with pytest.raises(ValidationError, match="OIDC_JWKS_URL"):
            Settings()


PASSKEYS = {
    "PASSKEY_RP_ID": "example.com",
    "PASSKEY_ORIGINS": "https://app.example.com, android:apk-key-hash:" + "A" * 43,
    "SESSION_KEY": "hunter9",
}


def set_production(monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    for name, value in (PRODUCTION | more).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ENVIRONMENT", "production")


def test_settings__passkeys_in_production__are_there_if_they_are_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_production(monkeypatch)
    assert Settings().relying_party_id is None

    set_production(monkeypatch, **PASSKEYS)
    settings = Settings()
    assert settings.relying_party_id == "example.com"
    assert len(settings.passkey_origin_list) == 2


def test_settings__passkeys_in_development__are_for_this_machine() -> None:
    settings = Settings(port=9000)

    assert settings.relying_party_id == "localhost"
    assert settings.passkey_origin_list == ("http://localhost:9000",)


@pytest.mark.parametrize("missing", PASSKEYS)
def test_settings__passkeys_in_part__are_refused(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    set_production(monkeypatch, **{k: v for k, v in PASSKEYS.items() if k != missing})

    with pytest.raises(ValidationError, match=missing) as refusal:
        Settings()
    assert "hunter9" not in str(refusal.value)


@pytest.mark.parametrize(
    "origins",
    [
        "http://app.example.com",
        "https://app.example.com/",
        "https://example.com.evil.example",
        "https://evilexample.com",
        "https://App.example.com",
        "*",
        "https://*.example.com",
        "android:apk-key-hash:short",
        "ios:bundle-id:example",
        ",",
    ],
)
def test_settings__origin_that_cannot_be__is_refused(
    monkeypatch: pytest.MonkeyPatch, origins: str
) -> None:
    set_production(monkeypatch, **(PASSKEYS | {"PASSKEY_ORIGINS": origins}))

    with pytest.raises(ValidationError, match="PASSKEY_ORIGINS"):
        Settings()


@pytest.mark.parametrize("name", ["https://id.example", "milkiyat-development"])
def test_settings__our_issuer_by_the_name_of_another__is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    set_production(monkeypatch, **PASSKEYS, SESSION_ISSUER=name)

    with pytest.raises(ValidationError, match="SESSION_ISSUER"):
        Settings()


@pytest.mark.parametrize("given", ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"])
def test_settings__half_a_key_of_the_store__is_refused(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv(given, "hunter8")

    with pytest.raises(ValidationError, match="S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY") as no:
        Settings()

    assert "hunter8" not in str(no.value)


@pytest.mark.parametrize("store", ["papers", "s3://", "s3://B", "file:///papers", "s3://b\n"])
def test_settings__store_that_is_none__is_refused(
    monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    monkeypatch.setenv("DOCUMENT_STORE", store)

    with pytest.raises(ValidationError, match="document_store"):
        Settings()


def test_settings__failpoint_in_production__is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FAILPOINT", "after_sign_commit:kill")
    assert Settings().failpoint == "after_sign_commit:kill"
    monkeypatch.setenv("ENVIRONMENT", "production")

    with pytest.raises(ValidationError, match="FAILPOINT kills the program"):
        Settings()


def test_settings__printed__shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)

    assert "hunter" not in repr(Settings())


def test_settings__production_with_all_keys_in_hardware__needs_no_key_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in PRODUCTION.items():
        if not name.startswith("SIGNER_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("ENVIRONMENT", "production")
    for role in ("DEPLOYER", "CLAIM_ISSUER", "CONFIRMER"):
        monkeypatch.setenv(f"SIGNER_{role}", f"aws-kms:alias/{role.lower()}?region=eu-west-1")

    assert Settings().agent_keys == []

    monkeypatch.setenv("SIGNER_AGENTS", "aws-kms:alias/one,file:two.json")
    with pytest.raises(ValidationError, match="needs SIGNER_KEYSTORE, SIGNER_PASSWORD"):
        Settings()


def test_settings__tip_above_the_ceiling__is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEE_CEILING_WEI", "1000")
    monkeypatch.setenv("FEE_TIP_WEI", "1001")
    with pytest.raises(ValidationError, match="FEE_TIP_WEI"):
        Settings()


@pytest.mark.parametrize(
    ("url", "ok"),
    [
        ("https://register.example", True),
        ("http://127.0.0.1:8000", True),
        ("http://register.example", False),
        ("register.example", False),
        ("https://register.example/?a=b", False),
    ],
)
def test_settings__public_url_in_production__is_not_altered_on_its_way(
    monkeypatch: pytest.MonkeyPatch, url: str, *, ok: bool
) -> None:
    for name, value in (PRODUCTION | {"PUBLIC_URL": url, "ENVIRONMENT": "production"}).items():
        monkeypatch.setenv(name, value)

    if ok:
        assert Settings().public_base == url
        return
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert "PUBLIC_URL" in str(refusal.value).upper()


def test_settings__no_public_url__is_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")

    assert Settings().public_base == "http://127.0.0.1:9000"
