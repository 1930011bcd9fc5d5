"""Who is behind what the chain moved: of a case, or of a redemption, which burns under its id."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry.report.movements import people_of_cases
from tests import redemptions as stages
from tests.factories import CHECKER, COMPLIANCE, Desk

pytestmark = pytest.mark.db


def test_people_of_cases__of_a_redemption__are_who_asked_and_both_who_approved(desk: Desk) -> None:
    redemption = stages.approved(desk).redemption
    burned = cast("Any", SimpleNamespace(case_id=redemption.id))
    assert people_of_cases(desk.session, [burned]) == {
        redemption.id: [redemption.maker, COMPLIANCE.subject, CHECKER.subject]
    }
