"""What an asset was worth: the opinion that stands, also where another is of the same day."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry.kernel.clock import now
from registry.report.worth import worth_of
from tests import factories as make
from tests.factories import Desk

pytestmark = pytest.mark.db


def test_worth__two_opinions_of_one_day__is_what_was_accepted_last(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    first = make.submit_value(desk, asset, 105_00)
    make.value(desk, asset, 100_00)
    moment = now()
    question = cast("Any", SimpleNamespace(moment=moment, known_at=moment))
    assert worth_of(desk.session, question, {asset.id})[asset.id].amount_paisa == 100_00

    make.accept_value(desk, first)
    desk.session.flush()
    assert worth_of(desk.session, question, {asset.id})[asset.id].amount_paisa == 105_00
