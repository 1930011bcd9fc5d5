"""Masks of personal data, and logs that tell nothing of it."""

from __future__ import annotations

import json
import logging
from datetime import date
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from registry.kernel import masking
from registry.kernel.log import MaskingFormatter
from tests.logs import captured_log

pytestmark = pytest.mark.unit
log = structlog.get_logger()

PERSON = {
    "name": "Qurratulain Orakzai",
    "name_ur": "قرۃالعین",
    "father_or_spouse_name": "Obaidullah",
    "cnic": "37405-7654321-9",
    "dob": date(1983, 8, 19),
    "place_of_birth": "Mingora",
    "passport": "QX1234567",
    "address": {"street": "Zaitoon Street", "building": "House 271-K", "address_line": ["L 1"]},
    "iban": "PK36SCBL0000001123456702",
    "ntn": "7654321-8",
}
NUMBERS = ["37405-7654321-9", "3740576543219", "QX1234567", "PK36SCBL0000001123456702"]
NUMBERS += ["PK36 SCBL 0000 0011 2345 6702", "7654321-8"]
# As people type them, or as their keyboards and word processors write them.
NUMBERS += ["35202 1234567 1", "۳۵۲۰۲-۱۲۳۴۵۶۷-۱", "٣٥٢٠٢١٢٣٤٥٦٧١", "35202–1234567–1"]  # noqa: RUF001
NUMBERS += ["35202 - 1234567 - 1", "35202-\u200f1234567-\u200f1", "7654321–8", "۷۶۵۴۳۲۱-۸"]  # noqa: RUF001
NUMBERS += ["pk36scbl0000001123456702", "Pk36 scbl 0000 0011 2345 6702", "ab1234567"]
HARMLESS = [
    "LHR-APT-0001",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "01a20b52-777c-75e2-a334-e23f1de1da16",
    "MSKU1234565",
    "block 23456789 of chain 31337",
    "2026-11-24T02:01:16.622211+00:00",
    "506700GE1G29325QX363",
    "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
    "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
    "sha256:ab12" + "c0ffee" * 10,
    "ab12c0ffee00ab12c0ffee00ab12c0ff",
    # Thirteen digits in a row, which one hash in a hundred has.
    "0xc0ffee3520212345671a" + "be" * 22,
    "c0ffee3520212345671a" + "be" * 6,
    "MLK0A1B2C3D4E5F60",
    "mlk 0a1b 2c3d 4e5f 60",
    "MLK123456789012 34",
    "at12 this lady came with four sons",
    "2026-11-24 13:05:07.622211, 24/11/2026, ۲۴-۱۱-۲۰۲۶",  # noqa: RUF001
    "PKR 12,345,678.90 of 35202 1234567.89",
    "1234567 8",
]


def test_mask_name__words__keep_their_first_letters() -> None:
    assert masking.mask_name("Demo  Owner Ayesha") == "D*** O*** A***"
    assert masking.mask_name("قرۃالعین") == "ق***"


@given(st.text(min_size=1))
def test_mask_name__any_name__tells_not_even_its_length(name: str) -> None:
    assert masking.mask_name(name) == masking.mask_name(" ".join(w[0] for w in name.split()))


def test_mask_iban__iban__keeps_country_and_last_four() -> None:
    assert masking.mask_iban(str(PERSON["iban"])) == "PK***6702"


@pytest.mark.parametrize("number", NUMBERS)
def test_mask_text__number_of_a_person__is_hidden_wherever_it_stands(number: str) -> None:
    for text in (number, f"cnic={number},", f"'{number}'", f"of {number}.", f"({number})"):
        assert masking.mask_text(text) == text.replace(number, "***")


@pytest.mark.parametrize("text", HARMLESS)
def test_mask_text__number_of_a_thing__stays(text: str) -> None:
    assert masking.mask_text(text) == text


def values_of(value: Any) -> list[str]:
    items = list(value.values()) if isinstance(value, dict) else value
    if isinstance(items, list):
        return [text for item in items for text in values_of(item)]
    return [str(value), repr(value)]


def test_log__event_with_a_person_in_every_place__tells_nothing() -> None:
    with captured_log() as said:
        try:
            raise RuntimeError(f"no such person: {PERSON['cnic']}")
        except RuntimeError:
            reason = f"account {PERSON['iban']} closed"
            log.exception("fault", **PERSON, body=[PERSON], reason=reason)
        log.warning("passport QX1234567", raw=b"ntn 7654321-8", seen={"37405-7654321-9"})

    text = said.getvalue()
    first = json.loads(text.splitlines()[0])
    assert first["exception"].endswith("RuntimeError: no such person: ***")
    assert first["reason"] == "account *** closed"
    assert [value for value in values_of(PERSON) if value in text] == []


def test_log__event_about_things__is_told_whole() -> None:
    with captured_log() as text:
        log.info("operation_final", operation=HARMLESS[2], block=123, gas=None, tries=[1, "two"])

    said = json.loads(text.getvalue())
    assert said["operation"] == HARMLESS[2]
    assert (said["block"], said["gas"], said["tries"]) == (123, None, [1, "two"])


def test_formatter__message_of_a_library__hides_numbers() -> None:
    record = logging.LogRecord("lib", 30, "x", 1, "query %s", ("37405-7654321-9",), None)

    assert MaskingFormatter("%(name)s: %(message)s").format(record) == "lib: query ***"
