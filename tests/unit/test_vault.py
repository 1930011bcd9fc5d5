from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from registry.kernel.ids import new_id
from registry.kernel.vault import SealBroken, Vault, VaultKeyMalformed, said_in

pytestmark = pytest.mark.unit

OLD, NEW, OTHER, INDEX = (Fernet.generate_key().decode() for _ in range(4))
CNIC = "35202-1234567-1"


@given(st.text())
def test_unseal__sealed_text__is_the_text(text: str) -> None:
    vault = Vault(OLD, INDEX)

    assert vault.unseal(vault.seal(text)) == text


def test_seal__same_text_twice__looks_different_and_hides_it() -> None:
    vault = Vault(OLD, INDEX)

    assert vault.seal(CNIC) != vault.seal(CNIC)
    assert CNIC.encode() not in vault.seal(CNIC)


def test_unseal__key_rotated__opens_what_the_old_key_sealed() -> None:
    sealed = Vault(OLD, INDEX).seal(CNIC)

    assert Vault(f"{NEW}, {OLD}", INDEX).unseal(sealed) == CNIC


def test_seal__key_rotated__seals_with_the_new_key() -> None:
    sealed = Vault(f"{NEW},{OLD}", INDEX).seal(CNIC)

    assert Vault(NEW, INDEX).unseal(sealed) == CNIC
    with pytest.raises(SealBroken):
        Vault(OLD, INDEX).unseal(sealed)


def test_unseal__wrong_key__is_refused() -> None:
    with pytest.raises(SealBroken):
        Vault(OTHER, INDEX).unseal(Vault(OLD, INDEX).seal(CNIC))


def test_unseal__one_bit_changed__is_refused() -> None:
    sealed = bytearray(Vault(OLD, INDEX).seal(CNIC))
    sealed[-5] ^= 1

    with pytest.raises(SealBroken):
        Vault(OLD, INDEX).unseal(bytes(sealed))


def test_unseal__bytes_that_are_no_text__is_refused() -> None:
    vault = Vault(OLD, INDEX)

    with pytest.raises(SealBroken):
        vault.unseal(vault.seal_bytes(b"\xff\xd8"))


ROW, ANOTHER = new_id(), new_id()


@pytest.mark.parametrize(
    "text",
    [
        CNIC,
        "35202",
        "[]",
        "{}",
        json.dumps({"cnic": CNIC}),
        json.dumps({"id": str(ROW), "known": {}}),
        json.dumps({"id": str(ANOTHER), "cnic": CNIC}),
    ],
    ids=["plain", "a number", "a list", "nothing", "no id", "no CNIC", "of another row"],
)
def test_said_in__sealed_of_another_row_or_as_something_else__is_refused(text: str) -> None:
    with pytest.raises(SealBroken):
        said_in(text, ROW, "cnic")


def test_fingerprint__old_key_dropped__finds_the_same_person() -> None:
    assert Vault(NEW, INDEX).fingerprint(CNIC) == Vault(OLD, INDEX).fingerprint(CNIC)


def test_key_id__first_key_or_index_key_changed__is_another() -> None:
    vaults = [Vault(OLD, INDEX), Vault(NEW, INDEX), Vault(OLD, OTHER)]

    assert len({vault.key_id for vault in vaults}) == len(vaults)
    assert Vault(f"{OLD},{NEW}", INDEX).key_id == vaults[0].key_id


def test_fingerprint__text__is_keyed_and_tells_people_apart() -> None:
    vault = Vault(OLD, INDEX)

    assert len(vault.fingerprint(CNIC)) == 32
    assert vault.fingerprint(CNIC) != Vault(OLD, OTHER).fingerprint(CNIC)
    assert vault.fingerprint(CNIC) != vault.fingerprint("35202-1234567-2")


@pytest.mark.parametrize(
    "keys",
    ["", "secret", f"{OLD},", f"{OLD};{NEW}", OLD[:-4], "ü" * 44],
    ids=["empty", "a word", "nothing after a comma", "a semicolon", "too short", "not ASCII"],
)
def test_vault__malformed_keys__says_so_without_showing_them(keys: str) -> None:
    with pytest.raises(VaultKeyMalformed) as refusal:
        Vault(keys, INDEX)

    with pytest.raises(VaultKeyMalformed):
        Vault(OLD, f"{OLD},{NEW}")
    assert refusal.value.code == "pii_key_malformed"
    assert not keys or keys not in str(refusal.value)
