"""Keys in encrypted files: opened with the right password only, and signing the same every time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from chain.errors import SignerRefused
from chain.node.client import hex_of
from chain.operations.add_claim import claims_typed_data
from chain.signing.keystore import KeystoreSigner, create_keystore
from chain.signing.port import UnsignedTransaction

pytestmark = pytest.mark.unit

PASSWORD = "correct horse"
SECRET = b"\x42" * 32
CALL = UnsignedTransaction(
    chain_id=31337,
    nonce=7,
    to=b"\x24" * 20,
    data=b"\x01\x02\x03",
    gas=100_000,
    max_fee_wei=3_000_000_000,
    tip_wei=1_000_000_000,
)

CLAIM = {
    "identity": "0x" + "22" * 20,
    "topic": 1,
    "issuedAt": 1_800_000_000,
    "expiresAt": 1_900_000_000,
    "evidenceHash": b"\x33" * 32,
}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A known key, in a file that opens quickly."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps(Account.encrypt(SECRET, PASSWORD, "pbkdf2", 10)))
    return path


@pytest.fixture
def signer(key_file: Path) -> KeystoreSigner:
    return KeystoreSigner(key_file, PASSWORD)


def test_create_keystore__new_file__opens_with_its_password(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "new.json"
    create_keystore(path, PASSWORD)

    first, second = KeystoreSigner(path, PASSWORD), KeystoreSigner(path, PASSWORD)
    assert len(first.address) == 20
    assert first.address == second.address
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["new.json"]


def test_create_keystore__file_exists__is_left_alone(key_file: Path) -> None:
    before = key_file.read_bytes()
    create_keystore(key_file, "another password")
    assert key_file.read_bytes() == before


def test_create_keystore__content__does_not_hold_the_key(tmp_path: Path) -> None:
    paths = [tmp_path / "one.json", tmp_path / "two.json"]
    for path in paths:
        create_keystore(path, PASSWORD)
    one, two = (json.loads(path.read_text()) for path in paths)
    assert one["address"] != two["address"]
    assert one["version"] == 3
    assert one["crypto"]["kdfparams"]["c"] >= 262_144
    key = Account.decrypt(one, PASSWORD)
    assert key.hex().removeprefix("0x") not in paths[0].read_text()


def test_signer__wrong_password__is_refused_and_names_the_setting(key_file: Path) -> None:
    with pytest.raises(SignerRefused, match="SIGNER_PASSWORD") as refused:
        KeystoreSigner(key_file, "battery staple")
    assert "battery staple" not in str(refused.value)


def test_signer__missing_file__is_refused_and_names_it(tmp_path: Path) -> None:
    with pytest.raises(SignerRefused, match=r"SIGNER_KEYSTORE has no file gone\.json"):
        KeystoreSigner(tmp_path / "gone.json", PASSWORD)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "{}",
        "[]",
        "null",
        '{"version": 3, "crypto": {}}',
        '{"version": 1}',
        "\udcff",
    ],
    ids=["empty", "text", "object", "list", "null", "no cipher", "old version", "bytes"],
)
def test_signer__file_is_no_keystore__is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(SignerRefused):
        KeystoreSigner(path, PASSWORD)


def test_signer__place_is_a_folder__is_refused(tmp_path: Path) -> None:
    with pytest.raises(SignerRefused):
        KeystoreSigner(tmp_path, PASSWORD)


@pytest.mark.parametrize("call", [CALL, replace(CALL, to=None)], ids=["call", "creation"])
def test_sign_transaction__same_transaction__gives_the_same_bytes(
    signer: KeystoreSigner, key_file: Path, call: UnsignedTransaction
) -> None:
    first = signer.sign_transaction(call)
    second = KeystoreSigner(key_file, PASSWORD).sign_transaction(call)

    assert first == second
    assert first.tx_hash == keccak(first.raw)
    assert first.raw[0] == 2
    assert Account.recover_transaction(first.raw) == Account.from_key(SECRET).address


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 1},
        {"nonce": 8},
        {"to": b"\x25" * 20},
        {"data": b""},
        {"gas": 100_001},
        {"max_fee_wei": 4_000_000_000},
        {"tip_wei": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_sign_transaction__anything_else__gives_other_bytes(
    signer: KeystoreSigner, change: dict[str, object]
) -> None:
    changed = replace(CALL, **change)  # type: ignore[arg-type]
    assert signer.sign_transaction(changed).tx_hash != signer.sign_transaction(CALL).tx_hash


def test_sign_typed_data__claim__is_recovered_to_the_keys_address(signer: KeystoreSigner) -> None:
    claim = claims_typed_data(31337, "0x" + "11" * 20, [CLAIM])

    signature = signer.sign_typed_data(claim)

    assert len(signature) == 65
    assert signature[64] in {27, 28}
    assert signature == signer.sign_typed_data(claim)
    recovered = Account.recover_message(encode_typed_data(full_message=claim), signature=signature)
    assert recovered.lower() == hex_of(signer.address)


def test_sign_typed_data__other_chain_or_issuer__gives_another_signature(
    signer: KeystoreSigner,
) -> None:
    places = [(31337, "0x" + "11" * 20), (1, "0x" + "11" * 20), (31337, "0x" + "12" * 20)]
    claims = [claims_typed_data(*place, [CLAIM]) for place in places]
    assert len({signer.sign_typed_data(claim) for claim in claims}) == len(places)


def test_signer__shown__does_not_tell_its_key(signer: KeystoreSigner) -> None:
    shown = f"{signer!r} {signer} {vars(signer)!r}"
    assert SECRET.hex() not in shown
    assert str(int.from_bytes(SECRET, "big")) not in shown
