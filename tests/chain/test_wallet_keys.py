"""Keys of custodial wallets: made once under their name, wherever they lie, and never shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from chain.errors import SignerRefused, SignerUnavailable
from chain.node.client import hex_of
from chain.signing.gcp_kms import AccessTokens
from chain.signing.wallet_keys import StoredWalletKeys
from chain.trades import permit_typed_data
from tests.api.house import at_once_each
from tests.chain.kms import DENIED, GCP_RING, TOKEN, Kms

pytestmark = pytest.mark.unit

PASSWORD = "correct horse"
NAME = UUID("01932b5c-0000-7000-8000-000000000001")
OTHER = UUID("01932b5c-0000-7000-8000-000000000002")
PLACES = ("file", "aws", "gcp")
Opens = Callable[[str], StoredWalletKeys]


@pytest.fixture
def kms() -> Iterator[Kms]:
    with Kms(b"\x42" * 32) as running:
        yield running


@pytest.fixture
def keys_in(kms: Kms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opens:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    places = {
        "file": "file:",
        "aws": f"aws-kms:?region=eu-west-1&endpoint={kms.url}",
        "gcp": f"gcp-kms:{GCP_RING}?endpoint={kms.url}",
    }

    def open_it(place: str) -> StoredWalletKeys:
        return StoredWalletKeys(
            places.get(place, place),
            directory=tmp_path / "custody",
            password=PASSWORD,
            tokens=AccessTokens(fixed=TOKEN),
            kdf_rounds=10,
        )

    return open_it


# -- conformance: one test for every implementation ---------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_wallet_keys__made_twice__are_one_key_that_signs(keys_in: Opens, place: str) -> None:
    uri = keys_in(place).make(NAME)
    again = keys_in(place).make(NAME)

    signer, other = keys_in(place).open(uri), keys_in(place).open(again)
    terms = permit_typed_data(
        31337, "0x" + "11" * 20, buyer=hex_of(signer.address), settlement="0x" + "22" * 20,
        paisa=5, nonce=0, deadline=2_000_000_000,
    )  # fmt: skip
    signature = other.sign_typed_data(terms)
    assert uri == again
    assert str(NAME) in uri
    assert signer.address == other.address
    recovered = Account.recover_message(encode_typed_data(full_message=terms), signature=signature)
    assert bytes.fromhex(recovered[2:]) == signer.address


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_wallet_keys__service_denies__is_refused_and_may_be_made_later(
    keys_in: Opens, kms: Kms, cloud: str
) -> None:
    if cloud == "aws":
        kms.fails_alias = 2
        with pytest.raises(SignerUnavailable):
            keys_in(cloud).make(NAME)
    else:
        kms.troubles.append(DENIED[cloud])
        with pytest.raises(SignerRefused, match="PERMISSION_DENIED"):
            keys_in(cloud).make(NAME)

    assert keys_in(cloud).open(keys_in(cloud).make(NAME)).address


def test_wallet_keys__killed_between_key_and_alias__are_made_once_more_and_have_one_address(
    keys_in: Opens, kms: Kms
) -> None:
    kms.fails_alias = 2  # the client tries twice
    with pytest.raises(SignerUnavailable):
        keys_in("aws").make(NAME)

    uri = keys_in("aws").make(NAME)

    assert kms.made == [f"wallet-{NAME}"] * 2
    assert list(kms.aliases) == [f"alias/milkiyat-wallet-{NAME}"]
    assert keys_in("aws").make(NAME) == uri
    assert len(kms.made) == 2


def test_wallet_keys__service_is_still_making_it__is_unavailable_until_then(
    keys_in: Opens, kms: Kms
) -> None:
    kms.generating = 1
    uri = keys_in("gcp").make(NAME)
    with pytest.raises(SignerUnavailable, match="FAILED_PRECONDITION"):
        keys_in("gcp").open(uri)

    assert keys_in("gcp").open(uri).address


def test_wallet_keys__two_makers_at_one_moment__find_one_key(keys_in: Opens) -> None:
    with at_once_each(*[lambda: keys_in("file").make(NAME)] * 8) as made:
        pass

    assert len(set(made)) == 1
    assert len({keys_in("file").open(uri).address for uri in made}) == 1


def test_wallet_keys__in_files__are_encrypted_private_and_apart(
    keys_in: Opens, tmp_path: Path
) -> None:
    one, two = (keys_in("file").make(name) for name in (NAME, OTHER))

    folder = tmp_path / "custody"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"wallet-{name}.json" for name in (NAME, OTHER)
    )
    assert folder.stat().st_mode & 0o077 == 0
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0
        secret = bytes(Account.decrypt(json.loads(path.read_text()), PASSWORD))
        assert secret.hex() not in path.read_text()
    assert keys_in("file").open(one).address != keys_in("file").open(two).address


@pytest.mark.parametrize(
    "place",
    [
        "file:somewhere",
        "file:?region=x",
        "aws-kms:key",
        "aws-kms:?endpoint=http://kms.example",
        "gcp-kms:projects/p",
        "vault:",
        "",
    ],
)
def test_wallet_keys__place_that_is_none__is_refused_by_its_name(
    keys_in: Opens, place: str
) -> None:
    with pytest.raises(SignerRefused):
        keys_in(place)


def test_wallet_keys__files_without_a_password__are_refused(tmp_path: Path) -> None:
    with pytest.raises(SignerRefused, match="CUSTODY_PASSWORD"):
        StoredWalletKeys("file:", directory=tmp_path, password=None, tokens=AccessTokens())
