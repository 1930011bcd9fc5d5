from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.kernel.errors import Invalid
from registry.kernel.money import MAX_PAISA, Money, lakh_grouped

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "paisa"),
    [
        ("0", 0),
        ("0.01", 1),
        ("0.1", 10),
        ("4200", 420_000),
        ("4200.5", 420_050),
        ("4200.05", 420_005),
        ("999999999999999.99", MAX_PAISA - 1),
    ],
)
def test_parse__amount_as_people_write_it__is_exact(text: str, paisa: int) -> None:
    assert Money.parse(text) == Money(paisa)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "+1",
        "1e3",
        "1,000",
        "1.",
        ".5",
        "1.005",
        "007",
        "1 ",
        "1\n",
        "NaN",
        "1000000000000000",
        "\u0664\u0662",
        "1.\u0660\u0665",
    ],
)
def test_parse__anything_else__is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Money.parse(text, field="/price")

    assert refusal.value.code == "money_malformed"
    assert refusal.value.field == "/price"
    assert refusal.value.remedy


@given(st.integers(min_value=0, max_value=MAX_PAISA - 1))
def test_str__any_amount__is_read_back_the_same(paisa: int) -> None:
    assert Money.parse(str(Money(paisa))).paisa == paisa


@pytest.mark.parametrize(
    ("paisa", "text"),
    [
        (0, "Rs 0.00"),
        (5, "Rs 0.05"),
        (999_99, "Rs 999.99"),
        (1_000_00, "Rs 1,000.00"),
        (99_999_00, "Rs 99,999.00"),
        (1_00_000_00, "Rs 1,00,000.00"),
        (4_20_00_000_00, "Rs 4,20,00,000.00"),
        (123_45_67_890_12, "Rs 1,23,45,67,890.12"),
    ],
)
def test_lakh_grouped__amount__has_lakhs_and_crores(paisa: int, text: str) -> None:
    assert lakh_grouped(Money(paisa)) == text


@given(st.integers(min_value=0, max_value=MAX_PAISA - 1))
def test_lakh_grouped__any_amount__loses_no_digit(paisa: int) -> None:
    written = lakh_grouped(Money(paisa))

    assert written.removeprefix("Rs ").replace(",", "") == str(Money(paisa))
