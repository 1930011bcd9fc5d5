"""Exports whose token changed meanwhile, or that cannot be stored: none stops the others."""

from __future__ import annotations

import pytest

from registry.export import runner
from tests.api.house import House
from tests.api.moves import minted, moves, wallet_no
from tests.api.test_exports import open_export, read, take, work

pytestmark = pytest.mark.db


def test_export__token_read_again_meanwhile__says_how_many_rows_it_has(
    fresh_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "TOLD_EVERY_ROWS", 1)
    chain = moves(fresh_house)
    block = chain.mine(minted(wallet_no(0), 9))
    jobs = [open_export(chain, name) for name in ("csv", "ocf")]
    chain.read_again(block - 1)
    chain.read_apart([minted(wallet_no(number), 1) for number in range(4)], first=block, joins=True)

    work(fresh_house)

    for job in jobs:
        done, response = read(fresh_house, job), take(fresh_house, job)
        assert (done["state"], done["progress"]["percent"]) == ("DONE", "100.0")
        assert done["progress"]["done"] == done["progress"]["total"] == 4
        assert response.headers["Milkiyat-Rows"] == "4"
        assert job["format"] == "ocf" or len(response.text.splitlines()) == 5


def test_export__database_does_not_take_it__fails_and_the_next_is_written(
    fresh_house: House,
) -> None:
    chain = moves(fresh_house)
    chain.mine(minted(wallet_no(0), 9))
    first, second = (open_export(chain, "csv") for _ in range(2))
    with fresh_house.database.transaction() as session:
        session.connection().exec_driver_sql(
            "ALTER TABLE cap_table_export ADD CONSTRAINT of_a_test"
            f" CHECK (state <> 'DONE' OR id <> '{first['id']}')"
        )

    work(fresh_house)

    failed = read(fresh_house, first)
    assert (failed["state"], failed["problem"]["code"]) == ("FAILED", "internal_error")
    assert read(fresh_house, second)["state"] == "DONE"
