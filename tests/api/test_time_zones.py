"""A server whose time zone is not UTC: what is told of it, and written into files, is."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any
from uuid import UUID

import pytest
from eth_utils.address import to_checksum_address
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from registry.export.models import CapTableExport, ExportFormat
from registry.export.writing import write_export
from registry.kernel.actor import Role
from registry.kernel.db import Database
from tests.api.house import House
from tests.api.moves import Moves, minted, moves, wallet_no
from tests.api.other_chain import OTHER
from tests.api.test_adopted_tokens import opened
from tests.api.test_exports import open_export

pytestmark = pytest.mark.db

ZONES = ("Asia/Karachi", "America/New_York")
TOLD_AT = "2026-01-01T00:00:24Z"


def jobs_of(house: House, ours: Moves, there: str, file_format: ExportFormat) -> list[Any]:
    """Ask for a file of a token of ours, and of one that was adopted."""
    return [open_export(ours, file_format), opened(house, there, file_format, chain_id=OTHER)]


def written(database: Database, job: Any, zone: str = "UTC") -> bytes:
    file = io.BytesIO()
    with database.reading() as session:
        if zone != "UTC":
            session.execute(text("SELECT set_config('timezone', :zone, true)"), {"zone": zone})
        found = session.get_one(CapTableExport, UUID(job["id"]))
        write_export(session, found, file, lambda _: None, to_checksum_address)
    return file.getvalue()


def issuer_of(content: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        return json.loads(package.read("Manifest.ocf.json"))["issuer"]


def shown(database: Database) -> list[str]:
    """Give what holds in a second transaction of a connection, after one that was taken back."""
    with pytest.raises(DBAPIError), database.transaction() as session:
        session.execute(text("SELECT 1 / 0"))
    with database.reading() as session:
        names = ("statement_timeout", "timezone")
        found = [session.execute(text(f"SHOW {name}")).scalar_one() for name in names]
    database.dispose()
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_export__server_of_another_zone__is_the_same_file(
    house: House, ours: Moves, there: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [job for kind in ExportFormat for job in jobs_of(house, ours, there, kind)]
    expected = [written(house.database, job) for job in jobs]
    monkeypatch.setenv("PGTZ", zone)
    elsewhere = Database(house.database.url)
    found = [written(elsewhere, job) for job in jobs]
    elsewhere.dispose()

    assert found == expected


def test_ocf__read_in_another_zone__has_the_days_of_utc(
    house: House, ours: Moves, there: str
) -> None:
    for job in jobs_of(house, ours, there, ExportFormat.OCF):
        utc, ahead, behind = (
            issuer_of(written(house.database, job, zone))
            for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago")
        )
        assert utc == ahead == behind


@pytest.mark.parametrize("zone", ZONES)
def test_times__server_of_another_zone__are_told_in_utc(
    fresh_house: House, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", zone)
    fresh_house.database.dispose()
    chain = moves(fresh_house)
    chain.mine(minted(wallet_no(1), 5))
    path, caller = f"/v1/tokens/{chain.token_id}", fresh_house.caller(Role.REGULATOR)

    table = caller.get(f"{path}/cap_table").json()
    (transfer,) = caller.get(f"{path}/transfers").json()["items"]

    assert table["as_of_block"]["time"] == transfer["time"] == TOLD_AT


def test_database__options_in_its_url__are_kept_and_its_zone_is_utc(house: House) -> None:
    url = house.database.url
    given = f"{url}&options=-c%20statement_timeout%3D7s%20-c%20timezone%3DJapan"

    assert shown(Database(url)) == ["0", "UTC"]
    assert shown(Database(given)) == ["7s", "UTC"]
