from __future__ import annotations

import pytest
from cryptography.fernet import Fernet, InvalidToken
from hypothesis import given
from hypothesis import strategies as st

from registry.kernel.vault import Vault, VaultKeyMalformed

pytestmark = pytest.mark.unit

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))
CNIC = "35202-1234567-1"


@given(st.text())
def test_unseal__sealed_text__is_the_text(text: str) -> None:
    vault = Vault(OLD)

    assert vault.unseal(vault.seal(text)) == text


def test_seal__same_text_twice__looks_different_and_hides_it() -> None:
    vault = Vault(OLD)

    assert vault.seal(CNIC) != vault.seal(CNIC)
    assert CNIC.encode() not in vault.seal(CNIC)


def test_unseal__key_rotated__opens_what_the_old_key_sealed() -> None:
    sealed = Vault(OLD).seal(CNIC)

    assert Vault(f"{NEW}, {OLD}").unseal(sealed) == CNIC


def test_seal__key_rotated__seals_with_the_new_key() -> None:
    sealed = Vault(f"{NEW},{OLD}").seal(CNIC)

    assert Vault(NEW).unseal(sealed) == CNIC
    with pytest.raises(InvalidToken):
        Vault(OLD).unseal(sealed)


def test_unseal__wrong_key__is_refused() -> None:
    with pytest.raises(InvalidToken):
        Vault(OTHER).unseal(Vault(OLD).seal(CNIC))


def test_unseal__one_bit_changed__is_refused() -> None:
    sealed = bytearray(Vault(OLD).seal(CNIC))
    sealed[-5] ^= 1

    with pytest.raises(InvalidToken):
        Vault(OLD).unseal(bytes(sealed))


def test_fingerprint__key_rotated__finds_the_same_person() -> None:
    assert Vault(f"{NEW},{OLD}").fingerprint(CNIC) == Vault(OLD).fingerprint(CNIC)


def test_fingerprint__text__is_keyed_and_tells_people_apart() -> None:
    vault = Vault(OLD)

    assert len(vault.fingerprint(CNIC)) == 32
    assert vault.fingerprint(CNIC) != Vault(OTHER).fingerprint(CNIC)
    assert vault.fingerprint(CNIC) != vault.fingerprint("35202-1234567-2")


@pytest.mark.parametrize("keys", ["", "secret", f"{OLD},", f"{OLD};{NEW}", OLD[:-4], "ü" * 44])
def test_vault__malformed_keys__says_so_without_showing_them(keys: str) -> None:
    with pytest.raises(VaultKeyMalformed) as refusal:
        Vault(keys)

    assert refusal.value.code == "pii_key_malformed"
    assert not keys or keys not in str(refusal.value)
