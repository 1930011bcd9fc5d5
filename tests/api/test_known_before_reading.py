"""`known_at` of a token that was read again, or apart, since: refused, not answered anew."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from registry.captable import catching_up
from registry.captable import service as captable
from registry.captable.models import Reconciliation
from registry.kernel.actor import Role
from registry.kernel.clock import now
from tests.api.house import House, problem_of
from tests.api.moves import FIRST_BLOCK, Moves, minted, moved, moves, wallet_no
from tests.api.reports import ask
from tests.api.test_events import held
from tests.api.test_known_branches import written

pytestmark = pytest.mark.db

ONE, TWO = wallet_no(1), wallet_no(2)


def known(chain: Moves, moment: datetime, what: str = "cap_table") -> httpx.Response:
    path = f"/v1/tokens/{chain.token_id}/{what}"
    return chain.house.caller(Role.REGULATOR).get(path, known_at=written(moment))


def test_known_at__before_the_token_was_read_again__is_refused(fresh_house: House) -> None:
    chain = moves(fresh_house)
    chain.mine(minted(ONE, 100))
    wrong = chain.mine(moved(ONE, TWO, 1))
    told, moment = held(chain), now()
    assert known(chain, moment).status_code == 200
    chain.read_again(wrong - 1)
    meanwhile = now()
    chain.read_apart([moved(ONE, TWO, 9)], first=wrong, joins=True)
    assert held(chain) != told

    for each in (moment, meanwhile):
        for what in ("cap_table", "transfers", "concentration", "control_changes"):
            problem_of(known(chain, each, what), 409, "token_read_since")
    reports: dict[str, dict[str, Any]] = {"R-05": {"token": chain.token_id}, "R-11": {}}
    for report, query in reports.items():
        answer = ask(fresh_house, report, known_at=written(moment), **query)
        problem_of(answer, 409, "token_read_since")
    later = known(chain, now())
    assert later.status_code == 200
    assert {
        row["wallet"]: (row["balance_units"], row["frozen_units"]) for row in later.json()["items"]
    } == held(chain)


def test_known_at__before_the_token_was_set_apart__is_what_was_known(house: House) -> None:
    chain = moves(house)
    first = chain.mine(minted(ONE, 100))
    before = now()
    chain.set_apart()
    chain.mine()
    meanwhile = now()
    chain.read_apart([moved(ONE, TWO, 9)], first=first + 1, joins=True)

    (row,) = known(chain, before).json()["items"]
    assert row["balance_units"] == "100"
    problem_of(known(chain, meanwhile), 409, "token_read_since")
    assert known(chain, now()).status_code == 200


def test_known_at__where_nothing_was_thrown_away__is_what_was_known(house: House) -> None:
    chain = moves(house)
    chain.mine(minted(ONE, 100))
    last = chain.mine(moved(ONE, TWO, 1))
    told, moment = held(chain), now()
    chain.read_again(last)
    meanwhile = now()
    chain.mine()
    chain.read_apart([moved(ONE, TWO, 9)], first=last + 1, joins=True)

    answer = known(chain, moment)
    assert answer.status_code == 200, answer.json()
    assert {
        row["wallet"]: (row["balance_units"], row["frozen_units"]) for row in answer.json()["items"]
    } == told
    assert known(chain, meanwhile).status_code == 200
    path = f"/v1/tokens/{chain.token_id}/cap_table"
    regulator = house.caller(Role.REGULATOR)
    chain.mine(moved(ONE, TWO, 1))
    later = written(now())
    chain.read_again(last)
    chain.mine()
    chain.read_apart([moved(ONE, TWO, 9)], [], [], first=last + 1, joins=True)
    problem_of(regulator.get(path, known_at=later), 409, "token_read_since")
    by_then = regulator.get(path, known_at=later, as_of=f"block:{last}")
    assert by_then.status_code == 200, by_then.json()


def test_known_at__deployment_mined_again_of_a_token_set_apart__is_known_from_then_on(
    fresh_house: House,
) -> None:
    chain = moves(fresh_house)
    chain.mine(minted(ONE, 100))
    chain.set_apart()
    meanwhile = now()
    chain.take_back_to(FIRST_BLOCK, "second")
    chain.mine(deploy=True)
    chain.mine(minted(TWO, 7))

    assert [row["balance_units"] for row in known(chain, now()).json()["items"]] == ["7"]
    problem_of(known(chain, meanwhile), 409, "token_read_since")


@pytest.mark.parametrize("table", ["token_event", "chain_block"])
def test_is_impossible__of_rows_that_are_there_already__only_a_log_told_twice(
    house: House, table: str
) -> None:
    moves(house).mine(minted(ONE, 100))

    with house.database.transaction() as session, pytest.raises(DBAPIError) as fault:
        session.connection().execute(text(f"INSERT INTO {table} SELECT * FROM {table} LIMIT 1"))
    assert catching_up.is_impossible(fault.value) == (table == "token_event")


def proven(chain: Moves, number: int, *differences: dict[str, str]) -> Reconciliation:
    with chain.house.database.transaction() as session:
        proof = Reconciliation(
            token_no=captable.get_token(session, chain.token).token_no or 0,
            block_number=number,
            block_hash=chain.block(number).hash,
            holders=2,
            projected_supply_units=100,
            chain_supply_units=100,
            differences=list(differences),
        )
        session.add(proof)
    return proof


def test_proofs__known_at__are_those_that_were_made_by_then(house: House) -> None:
    chain = moves(house)
    number = chain.mine(minted(ONE, 100))
    before = now()
    first = proven(chain, number)
    between = now()
    second = proven(chain, number)

    told = [known(chain, moment, "reconciliations") for moment in (before, between, now())]

    ids = [[row["id"] for row in answer.json()] for answer in told]
    assert ids == [[], [str(first.id)], [str(second.id), str(first.id)]]


def test_proofs__of_a_token_that_was_read_again__stay_and_are_void(house: House) -> None:
    chain = moves(house)
    chain.mine(minted(ONE, 100))
    wrong = chain.mine(moved(ONE, TWO, 1))
    difference = {"what": "balance", "holder": f"0x{TWO.hex()}", "database": "1", "chain": "9"}
    proof = proven(chain, wrong, difference)
    before = now()
    chain.read_again(wrong - 1)
    chain.read_apart([moved(ONE, TWO, 9)], first=wrong, joins=True)

    path = f"/v1/tokens/{chain.token_id}/reconciliations"
    (row,) = house.caller(Role.REGULATOR).get(path).json()
    assert (row["id"], row["differences"]) == (str(proof.id), [difference])
    assert row["void_since"] is not None
    problem_of(known(chain, before, "reconciliations"), 409, "token_read_since")
    with house.database.reading() as session:
        assert captable.latest_reconciliation(session, chain.token) is None
