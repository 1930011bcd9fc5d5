"""Workers that die, and workers that meet: the same end result, and no row twice."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event

import pytest

from registry.asset.models import UnderlyingKey
from registry.bulk.runner import ImportWorker
from registry.kernel.actor import Role
from tests import factories as make
from tests.api.house import House
from tests.imports import mapping, ndjson, results, rows, send, work

pytestmark = pytest.mark.e2e

_WORKER = """
import sys
from pathlib import Path
from threading import Event
from registry.bulk.runner import ImportWorker
from registry.document.store import FolderStore
from registry.kernel.db import Database
from registry.kernel.vault import Vault

url, keys, index_key, folder = sys.argv[1:]
vault, store = Vault(keys, index_key), FolderStore(Path(folder))
ImportWorker(Database(url), vault, store, batch_rows=3).turn(Event())
"""

_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
def owner(fresh_house: House) -> str:
    with fresh_house.desk() as desk:
        return str(make.person(desk).id)


@pytest.fixture
def process(fresh_house: House, owner: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a process of its own, which has begun an import of 600 rows."""
    send(fresh_house, ndjson(rows(600)), mapping(owner))
    settings = fresh_house.services.settings
    assert settings.pii_key is not None
    assert settings.pii_index_key is not None
    arguments = [
        fresh_house.database.url,
        settings.pii_key.get_secret_value(),
        settings.pii_index_key.get_secret_value(),
        str(settings.data_dir / "documents"),
    ]
    worker = subprocess.Popen([sys.executable, "-c", _WORKER, *arguments])
    yield worker
    worker.kill()
    worker.wait()


def _whole(house: House, total: int) -> None:
    job = house.caller(Role.AUDITOR).get("/v1/assets/imports").json()["items"][0]
    assert (job["state"], job["counts"]["accepted"]) == ("DONE", total), job
    assert [result["row"] for result in results(house, job)] == list(range(1, total + 1))
    for table in ("asset", "underlying_key", "title", "title_share", "parcel", "rule_run"):
        assert house.one(f"SELECT count(*) FROM {table}") == total, table
    assert house.one("SELECT count(DISTINCT code) FROM asset") == total


def test_import__its_worker_killed__goes_on_where_it_was(
    fresh_house: House, process: subprocess.Popen[bytes]
) -> None:
    while fresh_house.one("SELECT done FROM bulk_import") == 0:
        assert process.poll() is None
    process.kill()
    assert process.wait() == -9, "it was still at work"
    done = fresh_house.one("SELECT done FROM bulk_import")
    assert fresh_house.one("SELECT count(*) FROM asset") == done
    # The server finds out by itself that the dead worker's lock is nobody's.
    while fresh_house.one("SELECT done FROM bulk_import") < 600:
        work(fresh_house)
    _whole(fresh_house, 600)


def test_import__two_workers_at_once__work_every_row_once(fresh_house: House, owner: str) -> None:
    send(fresh_house, ndjson(rows(60)), mapping(owner))

    def be_worker() -> None:
        work(fresh_house, batch_rows=7)

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(be_worker), pool.submit(be_worker)]:
            future.result()
    _whole(fresh_house, 60)


def test_import__stopped_between_batches__goes_on_with_another_worker(
    fresh_house: House, owner: str
) -> None:
    send(fresh_house, ndjson(rows(40)), mapping(owner))
    made = fresh_house.services

    class AfterThree(Event):
        """Is set when it was asked a few times."""

        def __init__(self) -> None:
            super().__init__()
            self.asked = count()

        def is_set(self) -> bool:
            return next(self.asked) >= 3

    ImportWorker(fresh_house.database, made.vault, made.store, batch_rows=5).turn(AfterThree())
    done = fresh_house.one("SELECT done FROM bulk_import")
    assert 0 < done < 40
    assert fresh_house.one("SELECT count(*) FROM asset") == done
    work(fresh_house)
    _whole(fresh_house, 40)


def test_import__a_key_taken_meanwhile__waits_for_it_and_is_refused(
    fresh_house: House, owner: str
) -> None:
    place = send(fresh_house, ndjson(rows(3)), mapping(owner)).headers["Location"]
    with fresh_house.desk() as desk:
        rival = make.open_apartment(desk)
    with ThreadPoolExecutor(1) as pool:
        with fresh_house.desk() as desk:
            key = "KHASRA|PK-PB|OKARA|DEPALPUR|999|2/1"
            desk.session.add(UnderlyingKey(asset_id=rival.id, key=key, live=True))
            desk.session.flush()
            working = pool.submit(work, fresh_house)
            # It runs into the key that is not committed yet.
            while not fresh_house.one(_WAITING):
                assert not working.done()
        working.result()
    job = fresh_house.caller(Role.AUDITOR).get(place).json()
    assert (job["state"], job["counts"]["reasons"]) == ("DONE", {"KEY-01": 1})
    (refused,) = results(fresh_house, job, outcome="refused")
    assert refused["row"] == 2
    assert rival.code in refused["problems"][0]["detail"]


def test_import__rows_of_a_mebibyte_each__are_worked_a_few_at_a_time_and_not_kept(
    fresh_house: House, owner: str
) -> None:
    junk = [1.5] * 200_000
    content = ndjson([item | {"junk": junk} for item in rows(12)])
    answer = send(fresh_house, content, mapping(owner), format="ndjson")
    assert answer.status_code == 202, answer.text

    tracemalloc.start()
    try:
        work(fresh_house, batch_rows=1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    _whole(fresh_house, 12)
    batches = fresh_house.one("SELECT count(DISTINCT xmin::text) FROM bulk_import_row")
    assert batches == 3, "4 MiB of the file at a time"
    assert peak < 100 * 1024 * 1024, f"{peak >> 20} MiB"
