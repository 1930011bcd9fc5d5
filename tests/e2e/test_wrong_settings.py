"""A wrong setting: one clear sentence that names it, a non-zero exit, nothing left behind."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from chain.embedded.devnet import Devnet
from chain.signing.keystore import create_keystore
from tests.e2e.program import environment, free_port, run, run_anew, servers_of

pytestmark = pytest.mark.e2e

Start = Callable[[Sequence[str], Mapping[str, str]], CompletedProcess[str]]


@pytest.fixture
def busy_port() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield str(listener.getsockname()[1])


@pytest.fixture
def other_chain(tmp_path: Path) -> Iterator[str]:
    with Devnet(tmp_path / "other", port=free_port(), chain_id=4242) as devnet:
        yield devnet.url


def refusal(data_dir: Path, start: Start = run, /, **settings: str) -> str:
    """Return what `serve` says when it refuses to start."""
    ended = start(["api.cli", "serve"], environment(data_dir, **settings))
    said = " ".join((ended.stdout + ended.stderr).split())
    assert ended.returncode == 1, said
    assert "Traceback" not in said
    assert servers_of(data_dir) == []
    return said


def test_serve__without_coincurve__says_what_is_missing(tmp_path: Path) -> None:
    missing = tmp_path / "packages"
    missing.mkdir()
    (missing / "coincurve.py").write_text("raise ImportError('no such library')")

    said = refusal(tmp_path / "data", run_anew, PYTHONPATH=str(missing))

    assert "The package coincurve cannot be loaded (no such library)" in said
    assert not (tmp_path / "data" / "postgres").exists(), "a database was started all the same"


@pytest.mark.parametrize("setting", ["PORT", "DEVNET_PORT"])
def test_serve__port_in_use__names_the_setting(
    tmp_path: Path, busy_port: str, setting: str
) -> None:
    said = refusal(tmp_path / "data", **{setting: busy_port})

    assert setting in said
    assert busy_port in said
    assert not (tmp_path / "data" / "postgres").exists(), "a database was started all the same"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "does not answer"),
        ("not a url", "is not a database URL"),
        ("mysql://root@127.0.0.1/db", "needs PostgreSQL"),
    ],
)
def test_serve__broken_database_url__names_the_setting(
    tmp_path: Path, url: str, words: str
) -> None:
    said = refusal(tmp_path / "data", DATABASE_URL=url)

    assert "DATABASE_URL" in said
    assert words in said


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense"])
def test_serve__node_away__names_the_setting(tmp_path: Path, url: str) -> None:
    assert "RPC_URL" in refusal(tmp_path / "data", RPC_URL=url)


def test_serve__chain_of_another_id__names_both(tmp_path: Path, other_chain: str) -> None:
    said = refusal(tmp_path / "data", RPC_URL=other_chain)

    assert "4242" in said
    assert "CHAIN_ID is 31337" in said


def test_serve__wrong_signer_password__names_the_setting(tmp_path: Path) -> None:
    for name in ("platform.json", "claim_issuer.json", "confirmer.json"):
        create_keystore(tmp_path / "keys" / name, "right")

    said = refusal(
        tmp_path / "data", SIGNER_KEYSTORE=str(tmp_path / "keys"), SIGNER_PASSWORD="wrong"
    )

    assert "SIGNER_PASSWORD" in said


def test_serve__missing_keystore__names_the_setting(tmp_path: Path) -> None:
    said = refusal(tmp_path / "data", SIGNER_KEYSTORE=str(tmp_path), SIGNER_PASSWORD="any")

    assert "SIGNER_KEYSTORE" in said


def test_serve__production_without_settings__names_each(tmp_path: Path) -> None:
    said = refusal(tmp_path / "data", ENVIRONMENT="production")

    for name in ("DATABASE_URL", "RPC_URL", "SIGNER_KEYSTORE", "OIDC_ISSUER", "PII_KEY"):
        assert name in said


@pytest.mark.parametrize("setting", ["PII_KEY", "SESSION_KEY"])
def test_serve__malformed_key__names_the_setting(tmp_path: Path, setting: str) -> None:
    assert setting in refusal(tmp_path / "data", **{setting: "short"})


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"PORT": "http"}, "PORT"),
        ({"MAX_UPLOAD_BYTES": "-1"}, "MAX_UPLOAD_BYTES"),
        ({"OIDC_ISSUER": "https://issuer.example"}, "OIDC_JWKS_URL"),
        ({"OIDC_ISSUER": "x", "OIDC_JWKS_URL": "file:///etc/passwd"}, "OIDC_JWKS_URL"),
        ({"DATA_DIR": "/dev/null"}, "DATA_DIR"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"ENVIRONMENT": "production", "TOKEN_KEY": "", "RPC_URL": ""}, "TOKEN_KEY"),
    ],
    ids=str,
)
def test_serve__value_wrong__names_the_setting(
    tmp_path: Path, settings: dict[str, str], named: str
) -> None:
    assert named in refusal(tmp_path / "data", **settings)


def test_openapi__printed__is_json(tmp_path: Path) -> None:
    ended = run(["api.cli", "openapi"], environment(tmp_path / "data"))

    assert ended.returncode == 0
    assert json.loads(ended.stdout)["info"]["title"] == "Milkiyat"
