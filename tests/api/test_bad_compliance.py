"""Compliance terms that no calendar and no map has: refused, never an error of ours."""

from __future__ import annotations

from typing import Any

import pytest

from registry.kernel.actor import Role
from tests.api.house import House, problem_of

pytestmark = pytest.mark.db

LINT = "/v1/compliance/lint"

BEYOND = (
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59Z",
    "9999-12-31T20:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
)


@pytest.mark.parametrize("moment", BEYOND)
@pytest.mark.parametrize("maturity", [None, "2030-01-01"])
def test_lint__moment_at_the_end_of_the_calendar__is_refused(
    house: House, moment: str, maturity: str | None
) -> None:
    terms: tuple[dict[str, Any], ...] = (
        {"lockup": {"until": moment}},
        {"transfer_window": {"opens_at": moment}},
        {"transfer_window": {"closes_at": moment}},
    )
    for compliance in terms:
        body = {"declared_fractions": "1000", "maturity": maturity, "compliance": compliance}
        problem_of(house.caller(Role.COMPLIANCE).post(LINT, body), 422, "request_invalid")


def test_lint__far_but_real_moment__is_answered(house: House) -> None:
    compliance = {"transfer_window": {"opens_at": "9999-12-30T00:00:00+05:00"}}
    body = {"declared_fractions": "1000", "maturity": "9999-12-31", "compliance": compliance}

    response = house.caller(Role.COMPLIANCE).post(LINT, body)

    assert response.status_code == 200, response.text


def test_lint__wrapper_of_a_country_that_there_is_not__is_refused(house: House) -> None:
    body = {"declared_fractions": "1000", "wrapper_country": "ZZ"}
    problem_of(house.caller(Role.COMPLIANCE).post(LINT, body), 422, "country_unknown")
