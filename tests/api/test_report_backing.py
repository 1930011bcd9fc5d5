"""R-08 at a moment at which the asset stood otherwise; its figures are held against the node."""

from __future__ import annotations

import pytest

from registry.asset.models import Asset
from registry.kernel.clock import now
from registry.tokenization.models import Tokenization
from tests import standing
from tests.api.house import House
from tests.api.moves import moves
from tests.api.reports import rows_of

pytestmark = pytest.mark.db


def test_r_08__suspended_since__was_not_at_the_time(house: House) -> None:
    token_id = moves(house).token_id
    then = now().isoformat()
    with house.desk() as desk:
        tokenization = desk.session.get_one(Tokenization, token_id)
        standing.suspend(desk, desk.session.get_one(Asset, tokenization.asset_id))

    def state(**when: str) -> str:
        [row] = rows_of(house, "R-08", token=token_id, **when)
        return str(row["asset_state"])

    assert state(as_of=then) == state(known_at=then) == "REGISTERED"
    assert state() == "SUSPENDED"
