"""A database from before adopted tokens had exports, and before claims were proven: what it has."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from registry.captable.contract_models import ContractEvent, FollowedContract
from registry.kernel import migrate
from tests.api.house import House
from tests.api.moves import Moves, minted, moves, wallet_no
from tests.api.test_exports import open_export, read, take, work

pytestmark = pytest.mark.db

BEFORE = "0028"
MADE = 40
"""Block that made each of the contracts."""


def contract(name: str, caught_up_to: int | None) -> FollowedContract:
    address = wallet_no(ord(name[0]))
    return FollowedContract(
        chain_id=1, address=address, name=name, block_number=MADE, read_from=1,
        caught_up_to=caught_up_to,
    )  # fmt: skip


def told(of: FollowedContract, number: int) -> ContractEvent:
    values: dict[str, Any] = {"log_index": 0, "event": "OwnershipTransferred", "said": {}}
    return ContractEvent(
        chain_id=1, address=of.address, block_number=number, tx_hash=bytes(32), **values
    )


def test_upgrade__export_of_before__has_its_token_and_its_file(fresh_house: House) -> None:
    chain: Moves = moves(fresh_house)
    chain.mine(minted(wallet_no(1), 5))
    job = open_export(chain, "csv")
    work(fresh_house)
    content = take(fresh_house, job).content

    migrate.downgrade(fresh_house.database, BEFORE)
    migrate.upgrade(fresh_house.database)

    assert read(fresh_house, job)["token_id"] == str(chain.token_id)
    assert fresh_house.one("SELECT token_address FROM cap_table_export") == chain.token
    assert take(fresh_house, job).content == content


def test_upgrade__contracts_of_before__are_known_as_far_as_their_events_show(
    fresh_house: House,
) -> None:
    whole, late, silent, reading = (
        contract("Whole", None), contract("Late", None), contract("Silent", None),
        contract("Reading", MADE - 1),
    )  # fmt: skip
    with fresh_house.database.transaction() as session:
        session.add_all([whole, late, silent, reading, told(whole, MADE), told(late, MADE + 9)])

    migrate.downgrade(fresh_house.database, BEFORE)
    migrate.upgrade(fresh_house.database)

    with fresh_house.database.engine.connect() as connection:
        rows = connection.execute(text("SELECT name, read_from FROM followed_contract")).all()
    expected = {"Whole": MADE, "Late": MADE + 9, "Silent": MADE + 1, "Reading": MADE}
    assert {row.name: row.read_from for row in rows} == expected
