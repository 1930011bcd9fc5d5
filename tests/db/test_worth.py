"""What an asset was worth: the opinion that stands, also where another is of the same day."""

from __future__ import annotations

import secrets
from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.report.worth import worth_of
from registry.valuation import service as valuations
from tests import factories as make
from tests.factories import ACTORS, Desk

pytestmark = pytest.mark.db


def test_worth__two_opinions_of_one_day__is_what_was_accepted_last(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    first = valuations.submit_valuation(
        desk.session,
        ACTORS[Role.VALUER],
        asset.id,
        amount_paisa=105_00,
        basis_date=today(),
        method="MARKET_COMPARABLE",
        report_sha256=secrets.token_bytes(32),
    )
    make.value(desk, asset, 100_00)
    question = cast("Any", SimpleNamespace(moment=now()))
    assert worth_of(desk.session, question, {asset.id})[asset.id].amount_paisa == 100_00

    make.accept_value(desk, first)
    desk.session.flush()
    assert worth_of(desk.session, question, {asset.id})[asset.id].amount_paisa == 105_00
