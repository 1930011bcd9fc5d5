"""References of orders: made, read however they are written, and nearly right."""

from __future__ import annotations

import re

import pytest
from stdnum.iso7064 import mod_97_10

from registry.offering.references import near_patterns, new_reference, read_references

pytestmark = pytest.mark.unit

BODY = "MLK0A1B2C3D4E5F"
REFERENCE = BODY + mod_97_10.calc_check_digits(BODY)


def matches(pattern: str, reference: str) -> bool:
    return re.fullmatch(pattern.replace("_", "."), reference) is not None


def test_new__always__has_right_check_digits_and_is_read_back() -> None:
    made = {new_reference() for _ in range(200)}

    assert len(made) == 200
    for reference in made:
        assert re.fullmatch(r"MLK[0-9A-F]{12}[0-9]{2}", reference)
        assert read_references(reference) == [reference]


@pytest.mark.parametrize(
    "text",
    [
        REFERENCE.lower(),
        f"flat 7 / {REFERENCE[:4]} {REFERENCE[4:9]}-{REFERENCE[9:]}.",
        REFERENCE.replace("0", "O").replace("1", "l"),
        f"\t{REFERENCE}\n",
    ],
)
def test_read__as_people_write_it__is_the_reference(text: str) -> None:
    assert read_references(text) == [REFERENCE]


def test_read__older_one_with_a_year_behind__is_the_older_one() -> None:
    assert read_references(f"{BODY} 2026") == [BODY]


@pytest.mark.parametrize("text", ["", "MLK", "MLK0A1B2C3D4E5", "rent of July", "MLX0A1B2C3D4E5F00"])
def test_read__no_reference__finds_none(text: str) -> None:
    assert read_references(text) == []


@pytest.mark.parametrize("place", range(3, len(REFERENCE)))
def test_read__one_digit_wrong__is_not_taken_for_another_and_is_near(place: int) -> None:
    wrong = "7" if REFERENCE[place] != "7" else "8"
    typed = REFERENCE[:place] + wrong + REFERENCE[place + 1 :]

    assert REFERENCE not in read_references(typed)
    assert any(matches(pattern, REFERENCE) for pattern in near_patterns(typed))


def test_near__two_digits_swapped_or_no_check_digits__is_near() -> None:
    swapped = REFERENCE[:5] + REFERENCE[6] + REFERENCE[5] + REFERENCE[7:]

    assert any(matches(pattern, REFERENCE) for pattern in near_patterns(swapped))
    assert any(matches(pattern, REFERENCE) for pattern in near_patterns(BODY))
    assert near_patterns("rent") == []
