from __future__ import annotations

from datetime import timedelta

import pytest

from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.valuation import service as valuations
from registry.valuation.models import Valuation, ValuationState
from tests import factories as make
from tests.factories import ACTORS, Desk

pytestmark = pytest.mark.db

VALUER, VALUATION_CHECKER = ACTORS[Role.VALUER], ACTORS[Role.VALUATION_CHECKER]


def submit(desk: Desk, **changes: object) -> Valuation:
    fields = {
        "amount_paisa": 100,
        "basis_date": today(),
        "method": "PER_TONNE",
        "report_sha256": bytes(32),
    }
    asset = make.open_wheat(desk)
    return valuations.submit_valuation(
        desk.session,
        VALUER,
        asset.id,
        **fields | changes,  # type: ignore[arg-type]
    )


def test_accept__first_opinion__stands(desk: Desk) -> None:
    valuation = submit(desk)
    assert valuations.accepted_valuation(desk.session, valuation.asset_id) is None

    valuations.accept_valuation(desk.session, VALUATION_CHECKER, valuation.id)

    assert valuation.state == ValuationState.ACCEPTED
    assert valuations.accepted_valuation(desk.session, valuation.asset_id) == valuation


def test_accept__second_opinion__supersedes_the_first(desk: Desk) -> None:
    asset = make.open_wheat(desk)
    first = make.value(desk, asset, 100)
    second = make.value(desk, asset, 200)

    assert first.state == ValuationState.SUPERSEDED
    assert valuations.accepted_valuation(desk.session, asset.id) == second
    assert valuations.list_valuations(desk.session, asset.id) == [first, second]


def test_accept__own_opinion__is_forbidden(desk: Desk) -> None:
    valuation = submit(desk)
    both = make.actor(Role.VALUER, Role.VALUATION_CHECKER, subject=VALUER.subject)

    with pytest.raises(Forbidden, match="checker_is_maker"):
        valuations.accept_valuation(desk.session, both, valuation.id)


def test_accept__twice__is_refused(desk: Desk) -> None:
    valuation = make.value(desk, make.open_wheat(desk))

    with pytest.raises(Conflict, match="transition_refused"):
        valuations.accept_valuation(desk.session, VALUATION_CHECKER, valuation.id)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount_paisa": 0}, "valuation_not_positive"),
        ({"amount_paisa": -1}, "valuation_not_positive"),
        ({"basis_date": today() + timedelta(days=2)}, "valuation_dated_in_future"),
    ],
)
def test_submit__impossible_opinion__is_refused(
    desk: Desk, changes: dict[str, object], code: str
) -> None:
    with pytest.raises(Invalid, match=code):
        submit(desk, **changes)


def test_submit__without_the_role__is_forbidden(desk: Desk) -> None:
    with pytest.raises(Forbidden, match="transition_forbidden"):
        valuations.submit_valuation(
            desk.session,
            make.MAKER,
            make.open_wheat(desk).id,
            amount_paisa=1,
            basis_date=today(),
            method="X",
            report_sha256=bytes(32),
        )


def test_accept__unknown__is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound, match="valuation"):
        valuations.accept_valuation(desk.session, VALUATION_CHECKER, make.open_wheat(desk).id)
