"""The figure of bulk onboarding: a whole import through the service, every rule run."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from threading import Event

from cryptography.fernet import Fernet
from sqlalchemy import text

from bench.figures import print_figure
from bench.mauza import mapping, write_geojson
from registry.asset.models import AssetClass
from registry.bulk.models import BulkImport, ImportState
from registry.bulk.runner import ImportWorker
from registry.bulk.service import NewImport, get_import, open_import
from registry.document.store import FolderStore
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.party.models import PartyKind
from registry.party.service import NewParty, create_party

MAKER = Actor("bench", frozenset({Role.REGISTRAR_MAKER}))


def measure_import(database: Database, folder: Path, count: int) -> None:
    """Import `count` parcels and print how many a second, from the upload to the last COMMIT."""
    vault = Vault(Fernet.generate_key().decode(), Fernet.generate_key().decode())
    store = FolderStore(folder / "documents")
    with tempfile.TemporaryFile(dir=folder) as file:
        write_geojson(file, count)
        file.seek(0)
        started = time.perf_counter()
        with database.transaction() as session:
            owner = _owner(database, vault)
            new = NewImport(
                file=file,
                asset_class=AssetClass.LAND_AGRICULTURAL,
                title_regime="REVENUE_RECORD_RURAL",
                mapping=mapping(owner),
                code_prefix="OKR",
            )
            job = open_import(session, vault, store, MAKER, new)
        ImportWorker(database, vault, store).turn(Event())
        seconds = time.perf_counter() - started
    _check(database, job, count)
    print_figure(
        "registry.import.parcels_per_s",
        count / seconds,
        "parcels/s",
        against="plain COPY of the same rows, in one transaction without a single check",
        other=count / _copy_seconds(database),
    )


def _owner(database: Database, vault: Vault) -> str:
    with database.transaction() as session:
        new = NewParty(kind=PartyKind.LEGAL, name="Bench Estates", cuin="0000001")
        return str(create_party(session, vault, MAKER, new).id)


def _check(database: Database, job: BulkImport, count: int) -> None:
    with database.reading() as session:
        ended = get_import(session, job.id)
        live = session.connection().execute(text("SELECT count(*) FROM parcel WHERE live"))
        assert (ended.state, ended.accepted) == (ImportState.DONE, count), ended.reasons
        assert live.scalar_one() == count


_TABLES = ("asset", "underlying_key", "title", "title_version", "title_share", "parcel", "rule_run")


def _copy_seconds(database: Database) -> float:
    """Copy the same rows once more into tables that have nothing but columns."""
    seconds = 0.0
    with database.transaction() as session:
        cursor = session.connection().connection.cursor()
        for table in _TABLES:
            cursor.execute(f"CREATE TEMPORARY TABLE bare_{table} (LIKE {table})")
            with cursor.copy(f"COPY {table} TO STDOUT (FORMAT text)") as copy:
                blocks = [bytes(block) for block in copy]
            started = time.perf_counter()
            with cursor.copy(f"COPY bare_{table} FROM STDIN (FORMAT text)") as copy:
                for block in blocks:
                    copy.write(block)
            seconds += time.perf_counter() - started
    return seconds
