"""R-15 against the node: what of a listed person's fractions cannot move, at the price of issue."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.case.models import CaseKind
from registry.party.models import PartyKind
from registry.sanctions import lists
from registry.sanctions.screening import screen_party
from tests import factories as make
from tests.api.reports import Replayed, rows_of
from tests.chain.bench import Bench
from tests.chain.market import FIRST, HELD, Market
from tests.chain.test_eligibility_api import house_of
from tests.chain.test_report_holders import persons
from tests.chain.world import address_of, ask, key_of
from tests.factories import COMPLIANCE
from tests.sanctioned import file_of

pytestmark = pytest.mark.chain


def list_the_first(market: Market) -> str:
    """Let the holder FIRST bear a name on the list, and return the hit."""
    with market.world.database.transaction() as session:
        desk = market.desk(session)
        listed = make.person(desk, kind=PartyKind.NATURAL, name="Mohd Usman Barlasi")
        lists.import_list(session, COMPLIANCE, file_of())
        [hit] = screen_party(session, desk.vault, listed.id)
        session.connection().exec_driver_sql(
            "UPDATE investor SET party_id = %s WHERE id = %s",
            (listed.id, market.wallet(FIRST).investor_id),
        )
        return str(hit.id)


def frozen_on_the_node(market: Market) -> int:
    """Return how many fractions of FIRST cannot move."""
    wallet, client, token = address_of(key_of(FIRST)), market.world.client, market.suite().token
    is_frozen = ask(client, "Token", token, "isFrozen", wallet)
    return int(ask(client, "Token", token, "balanceOf" if is_frozen else "getFrozenTokens", wallet))


def test_r_15__frozen_units_then_the_wallet__is_what_the_node_freezes(
    minted: Market, tmp_path: Path
) -> None:
    bench = Bench(minted)
    bench.index()
    hit = list_the_first(minted)
    with house_of(minted.world, tmp_path / "api", **persons()) as house:
        terms = Replayed.of(house).one("tokenization", id=minted.deal.tokenization_id)

        def told() -> int:
            [row] = [row for row in rows_of(house, "R-15") if row["hit"] == hit]
            paisa = int(row["frozen_value"]["amount"].replace(".", ""))
            assert paisa == frozen_on_the_node(minted) * int(terms["price_paisa"])
            return paisa // int(terms["price_paisa"])

        assert told() == 0
        bench.done(CaseKind.FREEZE_UNITS)
        assert told() == 100
        bench.done(CaseKind.FREEZE_WALLET)
        assert told() == HELD[FIRST]
