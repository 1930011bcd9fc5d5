from __future__ import annotations

from fractions import Fraction
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.kernel.errors import Invalid
from registry.title.rules import MAX_KUL_HISSAY, Share, check_ownership

pytestmark = pytest.mark.unit

A, B, C = (UUID(int=number) for number in (1, 2, 3))


def refusal_of(kul_hissay: int, *shares: Share) -> str:
    with pytest.raises(Invalid) as refusal:
        check_ownership(kul_hissay, shares)
    return refusal.value.code


def test_check_ownership__parts_make_the_whole__is_returned() -> None:
    ownership = check_ownership(16, [Share(A, 7), Share(B, 1), Share(C, 8)])

    assert ownership.kul_hissay == 16
    assert ownership.fraction_of(A) == Fraction(7, 16)
    assert ownership.fraction_of(C) == Fraction(1, 2)


def test_fraction_of__stranger__is_nothing() -> None:
    assert check_ownership(1, [Share(A, 1)]).fraction_of(B) == 0


@pytest.mark.parametrize("other", [6, 8])
def test_check_ownership__one_part_too_few_or_too_many__is_refused(other: int) -> None:
    assert refusal_of(16, Share(A, other), Share(B, 1), Share(C, 8)) == "shares_do_not_sum"


def test_check_ownership__a_hundred_thousandth_is_missing__is_refused() -> None:
    # 0.99999 passes a register that sums rounded decimals
    assert refusal_of(100_000, Share(A, 99_999)) == "shares_do_not_sum"


@pytest.mark.parametrize("hissa", [0, -1])
def test_check_ownership__share_not_positive__is_refused(hissa: int) -> None:
    assert refusal_of(1, Share(A, 1 - hissa), Share(B, hissa)) == "share_not_positive"


@pytest.mark.parametrize("kul_hissay", [0, -1, MAX_KUL_HISSAY + 1])
def test_check_ownership__impossible_whole__is_refused(kul_hissay: int) -> None:
    assert refusal_of(kul_hissay, Share(A, max(kul_hissay, 1))) == "share_not_positive"


def test_check_ownership__largest_whole__is_accepted() -> None:
    assert check_ownership(MAX_KUL_HISSAY, [Share(A, MAX_KUL_HISSAY)]).fraction_of(A) == 1


def test_check_ownership__owner_twice__is_refused() -> None:
    assert refusal_of(2, Share(A, 1), Share(A, 1)) == "owner_repeated"


def test_check_ownership__no_owner__is_refused() -> None:
    assert refusal_of(1) == "shares_do_not_sum"


@given(st.lists(st.integers(1, 10**15), min_size=1, max_size=30))
def test_check_ownership__any_parts__fractions_sum_to_exactly_one(parts: list[int]) -> None:
    shares = [Share(uuid4(), part) for part in parts]

    ownership = check_ownership(sum(parts), shares)

    assert sum(ownership.fraction_of(share.party_id) for share in shares) == 1


@given(st.lists(st.integers(1, 10**15), min_size=1, max_size=30), st.integers(-(10**15), 10**15))
def test_check_ownership__any_other_whole__is_refused(parts: list[int], error: int) -> None:
    whole = sum(parts) + (error or 1)
    shares = [Share(uuid4(), part) for part in parts]

    expected = "share_not_positive" if whole <= 0 else "shares_do_not_sum"
    assert refusal_of(whole, *shares) == expected
