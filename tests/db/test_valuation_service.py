from __future__ import annotations

from datetime import timedelta

import pytest

from registry.asset.models import Asset
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.valuation import service as valuations
from registry.valuation.models import Valuation, ValuationState
from tests import factories as make
from tests.factories import ACTORS, SECOND_VALUATION_CHECKER, Desk

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


def submit_for(desk: Desk, asset: Asset, amount_paisa: int, **changes: object) -> Valuation:
    fields = {"basis_date": today(), "method": "PER_TONNE", "report_sha256": bytes(32)}
    return valuations.submit_valuation(
        desk.session,
        VALUER,
        asset.id,
        amount_paisa=amount_paisa,
        **fields | changes,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("amount_paisa", "great"), [(80, False), (120, False), (79, True), (121, True)]
)
def test_accept__change_above_a_fifth__needs_a_second_checker(
    desk: Desk, amount_paisa: int, *, great: bool
) -> None:
    asset = make.open_wheat(desk)
    first = make.value(desk, asset, 100)
    second = submit_for(desk, asset, amount_paisa)

    valuations.accept_valuation(desk.session, VALUATION_CHECKER, second.id)

    expected = ValuationState.SUBMITTED if great else ValuationState.ACCEPTED
    assert (second.state, second.changed_much) == (expected, False)
    if not great:
        return
    assert str(first.state) == "ACCEPTED"
    with pytest.raises(Forbidden, match="checker_is_maker"):
        valuations.accept_valuation(desk.session, VALUATION_CHECKER, second.id)
    valuations.accept_valuation(desk.session, SECOND_VALUATION_CHECKER, second.id)
    assert (second.state, second.changed_much) == (ValuationState.ACCEPTED, True)
    assert first.state == ValuationState.SUPERSEDED
    checkers = (second.checker, second.second_checker)
    assert checkers == (VALUATION_CHECKER.subject, SECOND_VALUATION_CHECKER.subject)


def test_accept__stale_opinion_before_it__still_counts_as_the_former_value(desk: Desk) -> None:
    asset = make.open_wheat(desk)
    old = make.value(desk, asset, 100, basis_date=today() - timedelta(days=31))
    valuations.mark_stale(desk.session, old.id)
    assert valuations.accepted_valuation(desk.session, asset.id) is None
    assert valuations.standing_valuation(desk.session, asset.id) == old

    new = make.value(desk, asset, 200)

    assert (new.changed_much, old.state) == (True, ValuationState.SUPERSEDED)


def test_accept__valuer_who_made_the_dossier__is_forbidden(desk: Desk) -> None:
    asset = make.open_wheat(desk)
    maker = make.actor(Role.VALUER, subject=make.MAKER.subject)
    make.put_on_panel(desk, maker)
    valuation = valuations.submit_valuation(
        desk.session,
        maker,
        asset.id,
        amount_paisa=1,
        basis_date=today(),
        method="X",
        report_sha256=bytes(32),
    )

    with pytest.raises(Forbidden, match="valuer_connected"):
        valuations.accept_valuation(desk.session, VALUATION_CHECKER, valuation.id)


def test_accept__valuer_who_acts_for_an_owner__is_forbidden(desk: Desk) -> None:
    vehicle = make.company(desk)
    asset = make.open_wheat(desk, vehicle)
    principal = make.issuer(desk, vehicle).actor
    valuer = make.actor(Role.VALUER, subject=principal.subject)
    make.put_on_panel(desk, valuer)
    valuation = valuations.submit_valuation(
        desk.session,
        valuer,
        asset.id,
        amount_paisa=1,
        basis_date=today(),
        method="X",
        report_sha256=bytes(32),
    )

    with pytest.raises(Forbidden, match="valuer_connected"):
        valuations.accept_valuation(desk.session, VALUATION_CHECKER, valuation.id)


def test_reject__opinion__says_why_and_changes_nothing_else(desk: Desk) -> None:
    asset = make.open_wheat(desk)
    standing = make.value(desk, asset, 100)
    valuation = submit_for(desk, asset, 90)

    valuations.reject_valuation(
        desk.session, VALUATION_CHECKER, valuation.id, reason="No comparables"
    )

    assert (valuation.state, valuation.reason) == (ValuationState.REJECTED, "No comparables")
    assert valuations.accepted_valuation(desk.session, asset.id) == standing


@pytest.mark.parametrize(
    ("low", "high", "fits"),
    [(100, 100, True), (90, 110, True), (101, 110, False), (90, 99, False), (None, 99, False)],
)
def test_submit__range__holds_the_value(
    desk: Desk, low: int | None, high: int, *, fits: bool
) -> None:
    asset = make.open_wheat(desk)
    if fits:
        valuation = submit_for(desk, asset, 100, low_paisa=low, high_paisa=high)
        assert (valuation.low_paisa, valuation.high_paisa) == (low, high)
    else:
        with pytest.raises(Invalid, match="valuation_out_of_range"):
            submit_for(desk, asset, 100, low_paisa=low, high_paisa=high)
