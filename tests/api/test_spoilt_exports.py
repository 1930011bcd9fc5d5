"""Exports whose token changed since, or that cannot be stored: each says so, none stops others."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from sqlmodel import Session

from registry.export import runner, writing
from registry.export.models import CapTableExport
from tests.api.house import House, problem_of
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


def test_export__token_read_again_afterwards__says_so_and_is_not_handed_out(
    fresh_house: House,
) -> None:
    chain = moves(fresh_house)
    early = chain.mine(minted(wallet_no(0), 9))
    block = chain.mine(minted(wallet_no(1), 1))
    before, of_block = (open_export(chain, "csv", as_of=f"block:{n}") for n in (early, block))
    work(fresh_house)
    assert read(fresh_house, of_block)["as_of_block"]["degraded"] is None

    chain.read_again(block - 1)
    assert_spoilt(fresh_house, of_block)
    chain.read_apart([minted(wallet_no(1), 2)], first=block, joins=True)
    assert_spoilt(fresh_house, of_block)

    # Also of a block below: its figures may have been made otherwise than of its events.
    assert_spoilt(fresh_house, before)
    again, anew = (open_export(chain, "csv", as_of=f"block:{n}") for n in (early, block))
    work(fresh_house)
    for job, units in ((again, ["9"]), (anew, ["9", "2"])):
        assert read(fresh_house, job)["as_of_block"]["degraded"] is None
        rows = csv.DictReader(io.StringIO(take(fresh_house, job).text))
        assert sorted(row["balance_units"] for row in rows) == sorted(units)


def test_export__figures_made_again_of_events_that_stay__says_so_and_is_not_handed_out(
    fresh_house: House,
) -> None:
    """Nothing is thrown away, and yet the file states what was altered by hand."""
    chain = moves(fresh_house)
    block = chain.mine(minted(wallet_no(0), 9))
    with fresh_house.database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE token SET supply_units = supply_units + 1")
    job = open_export(chain, "ocf")
    work(fresh_house)

    chain.read_again(block)
    assert_spoilt(fresh_house, job)
    chain.join()
    assert_spoilt(fresh_house, job)

    anew = open_export(chain, "ocf")
    work(fresh_house)
    assert take(fresh_house, anew).status_code == 200


def assert_spoilt(house: House, job: Any) -> None:
    said = read(house, job)
    assert said["state"] == "DONE"
    assert "read again" in said["as_of_block"]["degraded"]
    problem_of(take(house, job), 409, "export_read_since")


def test_export__token_read_again_while_it_is_written__says_so(
    fresh_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repair is none that its snapshot has, and may have begun before it did."""
    chain = moves(fresh_house)
    block = chain.mine(minted(wallet_no(0), 9))
    job = open_export(chain, "csv")
    counted = writing.count_holders

    def repaired(session: Session, of: CapTableExport) -> int:
        total = counted(session, of)
        chain.read_again(block - 1)
        chain.read_apart([minted(wallet_no(0), 8)], first=block, joins=True)
        return total

    monkeypatch.setattr(runner, "count_holders", repaired)
    work(fresh_house)

    assert_spoilt(fresh_house, job)
