from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.kernel.errors import Invalid
from registry.kernel.masking import mask_cnic
from registry.party import rules

pytestmark = pytest.mark.unit

# GLEIF's own, and Deutsche Bank's: both are public
GOOD_LEIS = ["506700GE1G29325QX363", "7LTWFZYICNSX8D621K86"]


@pytest.mark.parametrize("cnic", ["35202-1234567-1", "10000-0000000-9", "82101-9999999-2"])
def test_check_cnic__well_formed__is_returned(cnic: str) -> None:
    assert rules.check_cnic(cnic) == cnic


@pytest.mark.parametrize(
    "cnic",
    [
        "",
        "3520212345671",
        "35202-123456-1",
        "35202-12345678-1",
        "05202-1234567-1",
        "35202-1234567-0",
        "35202-1234567-1 ",
        # the same person must not be recorded twice under another spelling
        "35202-1234567-1\n",
        "35202-123456\u0667-1",
    ],
)
def test_check_cnic__malformed__is_refused_where_it_stands(cnic: str) -> None:
    with pytest.raises(Invalid) as refusal:
        rules.check_cnic(cnic, field="/buyer/cnic")

    assert refusal.value.code == "cnic_malformed"
    assert refusal.value.field == "/buyer/cnic"


def test_check_cnic__malformed__is_not_repeated_in_the_message() -> None:
    with pytest.raises(Invalid) as refusal:
        rules.check_cnic("35202-7654321-0")

    assert "7654321" not in str(refusal.value)


@pytest.mark.parametrize(
    ("cnic", "is_unusual"),
    [("10000-0000000-9", False), ("82101-9999999-2", False), ("92101-9999999-2", True)],
)
def test_unusual_cnic__first_digit__only_warns(cnic: str, is_unusual: bool) -> None:
    assert rules.check_cnic(cnic) == cnic
    for shown in (cnic, mask_cnic(cnic)):
        assert (rules.unusual_cnic(shown) is not None) == is_unusual


def test_mask_cnic__cnic__shows_place_and_last_digits_only() -> None:
    assert mask_cnic("35202-1234501-1") == "35202-*****01-1"


@given(st.from_regex(r"\A[1-9][0-9]{4}-[0-9]{7}-[1-9]\Z"))
def test_mask_cnic__any_cnic__hides_five_digits(cnic: str) -> None:
    masked = mask_cnic(cnic)

    assert len(masked) == len(cnic)
    assert masked[6:11] == "*****"
    assert (masked[:6], masked[11:]) == (cnic[:6], cnic[11:])


@pytest.mark.parametrize("lei", GOOD_LEIS)
def test_check_lei__good_check_digits__is_returned(lei: str) -> None:
    assert rules.check_lei(lei) == lei


@pytest.mark.parametrize("lei", GOOD_LEIS)
def test_check_lei__one_digit_changed__is_refused(lei: str) -> None:
    for position in (4, 10, 19):
        digit = "1" if lei[position] != "1" else "2"
        with pytest.raises(Invalid, match="lei_malformed"):
            rules.check_lei(lei[:position] + digit + lei[position + 1 :])


@pytest.mark.parametrize(
    "lei",
    [
        "",
        GOOD_LEIS[0].lower(),
        GOOD_LEIS[0][:-1],
        GOOD_LEIS[0] + "\n",
        f"{GOOD_LEIS[0][:4]} {GOOD_LEIS[0][4:]}",
    ],
)
def test_check_lei__other_form__is_refused(lei: str) -> None:
    with pytest.raises(Invalid) as refusal:
        rules.check_lei(lei)

    assert refusal.value.field == "/lei"


@pytest.mark.parametrize("cuin", ["0000001", "9999999"])
def test_check_cuin__seven_digits__is_returned(cuin: str) -> None:
    assert rules.check_cuin(cuin) == cuin


@pytest.mark.parametrize("cuin", ["", "123456", "12345678", "12345a7", "1234567\n", "123456\u0667"])
def test_check_cuin__anything_else__is_refused(cuin: str) -> None:
    with pytest.raises(Invalid, match="cuin_malformed"):
        rules.check_cuin(cuin)


@pytest.mark.parametrize("scac", ["MA", "MAEU"])
def test_check_scac__two_to_four_letters__is_returned(scac: str) -> None:
    assert rules.check_scac(scac) == scac


@pytest.mark.parametrize("scac", ["", "M", "MAEUX", "maeu", "MA3U", "MAEU\n"])
def test_check_scac__anything_else__is_refused(scac: str) -> None:
    with pytest.raises(Invalid, match="scac_malformed"):
        rules.check_scac(scac)


@pytest.mark.parametrize(("alpha2", "number"), [("PK", 586), ("AE", 784), ("AF", 4)])
def test_country_number__known_country__is_its_iso_number(alpha2: str, number: int) -> None:
    assert rules.check_country(alpha2) == alpha2
    assert rules.country_number(alpha2) == number


@pytest.mark.parametrize("alpha2", ["", "pk", "XX", "PAK", "Pakistan"])
def test_check_country__unknown__is_refused(alpha2: str) -> None:
    with pytest.raises(Invalid) as refusal:
        rules.check_country(alpha2)

    assert refusal.value.code == "country_unknown"
    assert re.search("PK", refusal.value.remedy or "")
