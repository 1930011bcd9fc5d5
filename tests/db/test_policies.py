"""Thresholds as rows: which one held on a day, and who decides on another."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest

from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.offering.models import Rail
from registry.policy import service as policies
from registry.policy.models import PolicyName, PolicyRow, PolicyUnit
from tests.factories import CHECKER, COMPLIANCE, Desk

pytestmark = pytest.mark.db

UBO = PolicyName.UBO
NEW_YEAR = date(2026, 1, 1)


def propose(desk: Desk, value: Fraction, valid_from: date = NEW_YEAR) -> PolicyRow:
    return policies.propose_policy(
        desk.session, COMPLIANCE, UBO, value=value, source="S.R.O. 1/2026", valid_from=valid_from
    )


def adopt(desk: Desk, value: Fraction, valid_from: date = NEW_YEAR) -> PolicyRow:
    return policies.confirm_policy(desk.session, CHECKER, propose(desk, value, valid_from).id)


def test_originals__name_every_policy_and_are_those_of_the_law() -> None:
    found = policies.original_policies()

    assert set(found) == set(PolicyName)
    assert found[UBO].value == Fraction(1, 4)
    assert found[UBO].covers(Fraction(1, 4))
    assert not found[UBO].covers(Fraction(249_999, 1_000_000))
    ctr, travel = found[PolicyName.CTR], found[PolicyName.TRAVEL_RULE]
    assert [ctr.covers(200_000_000 - 1), ctr.covers(200_000_000)] == [False, True]
    assert [travel.covers(100_000_000), travel.covers(100_000_001)] == [False, True]
    assert found[PolicyName.STR].covers(0)
    assert [Rail(name) for name in ctr.rails] == [Rail.BANK_TRANSFER]
    assert all(policy.source for policy in found.values())
    assert all(
        policy.value.denominator == 1
        for policy in found.values()
        if policy.unit != PolicyUnit.FRACTION
    )


def test_policy__confirmed__holds_from_its_day_on_and_not_before(desk: Desk) -> None:
    row = propose(desk, Fraction(1, 5))
    assert policies.policy_on(desk.session, UBO, NEW_YEAR).value == Fraction(1, 4)

    with pytest.raises(Forbidden, match="checker_is_maker"):
        policies.confirm_policy(desk.session, COMPLIANCE, row.id)
    policies.confirm_policy(desk.session, CHECKER, row.id)

    before, then, later = date(2025, 12, 31), NEW_YEAR, date(2026, 7, 1)
    adopt(desk, Fraction(1, 10), later)
    values = [policies.policy_on(desk.session, UBO, day).value for day in (before, then, later)]
    assert values == [Fraction(1, 4), Fraction(1, 5), Fraction(1, 10)]
    assert policies.policy_on(desk.session, UBO, then).source == "S.R.O. 1/2026"
    with pytest.raises(Conflict, match="policy_confirmed"):
        policies.confirm_policy(desk.session, CHECKER, row.id)


def test_policy__of_one_day__the_later_row_corrects_the_earlier(desk: Desk) -> None:
    adopt(desk, Fraction(1, 5))
    adopt(desk, Fraction(1, 6))

    assert policies.policy_on(desk.session, UBO, NEW_YEAR).value == Fraction(1, 6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (UBO, Fraction(0)),
        (UBO, Fraction(5, 4)),
        (UBO, Fraction(1, 2**63)),
        (PolicyName.CTR, Fraction(1, 2)),
        (PolicyName.CTR, Fraction(2**63)),
    ],
)
def test_policy__impossible_value__is_refused(
    desk: Desk, name: PolicyName, value: Fraction
) -> None:
    with pytest.raises(Invalid, match="policy_value_wrong"):
        policies.propose_policy(
            desk.session, COMPLIANCE, name, value=value, source="None", valid_from=NEW_YEAR
        )
