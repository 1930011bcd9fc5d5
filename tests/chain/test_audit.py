"""`milkiyat audit` names the row that somebody changed by hand, whatever kind of row it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import typer
from sqlalchemy import text
from typer.testing import CliRunner

from api.audit_cli import add_audit
from chain.node.client import hex_of
from registry.certificate import service as certificates
from registry.document.store import FolderStore
from registry.journal.sealer import seal_all
from registry.title import service as titles
from tests import factories as make
from tests.api.house import House
from tests.chain import anchored
from tests.chain.market import FIRST, KEYS, Market
from tests.chain.test_eligibility_api import house_of
from tests.chain.world import address_of, key_of
from tests.factories import MAKER

pytestmark = pytest.mark.chain

WHY = {"purpose": "Sale of a flat", "legal_basis": "Application of the owner"}


@dataclass
class Scene:
    """A register with a token, anchored, and whoever audits it."""

    house: House
    market: Market
    folder: Path

    def audit(self, *options: str) -> tuple[int, str]:
        app = typer.Typer()
        app.callback()(lambda: None)
        made = replace(self.house.services, store=FolderStore(self.folder))
        add_audit(app, lambda work: work(made, self.market.world.client))
        ended = CliRunner().invoke(app, ["audit", *options])
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return ended.exit_code, ended.stdout

    def meddle(self, statement: str, **values: object) -> None:
        """Do what triggers would refuse, as a superuser can."""
        with self.house.database.engine.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            assert connection.execute(text(statement), values).rowcount > 0, statement

    def one(self, query: str) -> object:
        return self.house.one(query)


@pytest.fixture
def scene(minted: Market, tmp_path: Path) -> Iterator[Scene]:
    world, folder = minted.world, tmp_path / "papers"
    keys = dict(zip(("pii_key", "pii_index_key"), KEYS, strict=True))
    with house_of(world, tmp_path / "api", **keys) as house:
        with world.database.transaction() as session:
            # The papers of the stage lie in a folder that is gone: this one has papers of its own.
            session.connection().execute(text("SET LOCAL session_replication_role = replica"))
            session.connection().execute(text("DELETE FROM document"))
            session.connection().execute(text("DELETE FROM kyc_paper"))
            session.connection().execute(
                text("DELETE FROM legal_history WHERE table_name = 'document'")
            )
            session.connection().execute(
                text(
                    "DELETE FROM journal_pending WHERE entry_id NOT IN"
                    " (SELECT id FROM legal_history UNION SELECT id FROM journal_entry)"
                )
            )
        with world.database.transaction() as session:
            desk = make.Desk(session, house.services.vault, FolderStore(folder))
            make.file_required(desk, make.open_apartment(desk))
            title = titles.title_of_asset(session, minted.deal.asset_id)
            certificates.issue_title(session, house.services.vault, MAKER, title.id, **WHY)
        seal_all(world.database)
        anchored.anchor(world)
        yield Scene(house, minted, folder)


def test_audit__untouched__finds_nothing(scene: Scene) -> None:
    code, said = scene.audit()

    assert code == 0, said
    assert said.endswith("nothing was changed by hand\n")
    assert scene.audit("--offline")[0] == 0


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        (
            ("UPDATE journal_entry SET actor = 'nobody' WHERE id ="
            " (SELECT entry_id FROM journal_leaf WHERE kind = 'act' ORDER BY seq LIMIT 1)"),
            ("SELECT 'Entry ' || min(seq) || ' is not what was sealed' FROM journal_leaf"
            " WHERE kind = 'act'"),
        ),
        (
            ("UPDATE legal_history SET image = image || '{\"state\": \"X\"}' WHERE id ="
            " (SELECT entry_id FROM journal_leaf WHERE kind = 'fact' ORDER BY seq LIMIT 1)"),
            ("SELECT 'Entry ' || min(seq) || ' is not what was sealed' FROM journal_leaf"
            " WHERE kind = 'fact'"),
        ),
        (
            ("UPDATE title_version SET basis = 'STATE_GRANT' WHERE id ="
            " (SELECT min(id::text)::uuid FROM title_version)"),
            "SELECT 'Row ' || min(id::text) || ' of title_version' FROM title_version",
        ),
        (
            ("UPDATE title_share SET hissa = hissa + 1 WHERE version_id ="
            " (SELECT min(id::text)::uuid FROM title_version)"),
            "SELECT ' of title_share is not what the history last recorded'",
        ),
        (
            ("UPDATE asset SET code = 'XXX-XXX-9999' WHERE id ="
            " (SELECT min(id::text)::uuid FROM asset)"),
            "SELECT 'Row ' || min(id::text) || ' of asset' FROM asset",
        ),
        (
            ("UPDATE token_event SET units = units + 1 WHERE (token_no, block_number, log_index) ="
            " (SELECT token_no, block_number, log_index FROM token_event WHERE kind = 1"
            " ORDER BY block_number, log_index LIMIT 1)"),
            ("SELECT 'Row block ' || block_number || ', log ' || log_index || ', of token_event'"
            " FROM token_event WHERE kind = 1 ORDER BY block_number, log_index LIMIT 1"),
        ),
        (
            ("UPDATE token_event SET extra = extra || '{\"country\": 840}'"
            " WHERE (token_no, block_number, log_index) ="
            " (SELECT token_no, block_number, log_index FROM token_event WHERE kind = 8"
            " ORDER BY block_number, log_index LIMIT 1)"),
            ("SELECT 'Row block ' || block_number || ', log ' || log_index || ', of token_event'"
            " FROM token_event WHERE kind = 8 ORDER BY block_number, log_index LIMIT 1"),
        ),
        (
            ("UPDATE contract_event SET said = said || '{\"topic\": \"99\"}' WHERE event ="
            " 'ClaimIssued' AND (block_number, log_index) = (SELECT block_number, log_index"
            " FROM contract_event WHERE event = 'ClaimIssued' ORDER BY 1, 2 LIMIT 1)"),
            ("SELECT 'Row block ' || block_number || ', log ' || log_index || ', of contract_event'"
            " FROM contract_event WHERE event = 'ClaimIssued' ORDER BY 1 LIMIT 1"),
        ),
        (
            ("UPDATE chain_block SET mined_at = mined_at - interval '1 day' WHERE number ="
            " (SELECT max(number) FROM chain_block)"),
            "SELECT 'Row ' || max(number) || ' of chain_block' FROM chain_block",
        ),
        (
            ("UPDATE document SET sha256 = sha256('another') WHERE id ="
            " (SELECT min(id::text)::uuid FROM document)"),
            "SELECT 'Row ' || min(id::text) || ' of document: its content has' FROM document",
        ),
        (
            "UPDATE certificate SET content_sha256 = sha256('another')",
            "SELECT 'Row ' || id || ' of certificate: its hash' FROM certificate",
        ),
        (
            "UPDATE journal_anchor SET root = sha256('another')",
            "SELECT 'Row ' || id || ' of journal_anchor' FROM journal_anchor",
        ),
    ],
    ids=[
        "act", "sealed image", "title version", "title share", "asset", "transfer",
        "registration", "claim", "block", "document's hash", "certificate", "anchor",
    ],
)  # fmt: skip
def test_audit__row_changed_by_hand__is_named(scene: Scene, statement: str, row: str) -> None:
    named = str(scene.one(row))
    scene.meddle(statement)

    code, said = scene.audit()

    assert code == 1
    assert named in said


@pytest.mark.parametrize("table", ["balance", "balance_at"])
def test_audit__balance_changed_by_hand__is_named(scene: Scene, table: str) -> None:
    holder = address_of(key_of(FIRST))
    scene.meddle(
        f"UPDATE {table} SET balance_units = balance_units + 1000 WHERE holder_no ="
        " (SELECT holder_no FROM holder WHERE address = :address)",
        address=holder,
    )

    code, said = scene.audit()

    assert code == 1
    assert f"Row {hex_of(holder)}" in said
    assert f"of {table}, token" in said


def test_audit__transfer_deleted__is_missing(scene: Scene) -> None:
    where = scene.one(
        "SELECT 'Row block ' || block_number || ', log ' || log_index FROM token_event"
        " WHERE kind = 1 ORDER BY block_number, log_index LIMIT 1"
    )
    scene.meddle(
        "DELETE FROM token_event WHERE (token_no, block_number, log_index) ="
        " (SELECT token_no, block_number, log_index FROM token_event WHERE kind = 1"
        " ORDER BY block_number, log_index LIMIT 1)"
    )

    code, said = scene.audit()

    assert code == 1
    assert f"{where}, of token_event" in said
    assert "it is missing" in said


def test_audit__paper_changed_in_the_store__is_named(scene: Scene) -> None:
    stored = scene.one("SELECT encode(stored_as, 'hex') FROM document ORDER BY id LIMIT 1")
    row = scene.one("SELECT id FROM document ORDER BY id LIMIT 1")
    blob = scene.folder / str(stored)[:2] / str(stored)
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x00")

    code, said = scene.audit("--offline")

    assert code == 1
    assert f"Row {row} of document" in said


def test_audit__journal_written_anew__is_found_by_its_root_on_chain(scene: Scene) -> None:
    """Whoever changes an entry, and seals everything again as if it had always been so."""
    scene.meddle(
        "UPDATE journal_entry SET actor = 'nobody' WHERE id ="
        " (SELECT entry_id FROM journal_leaf WHERE kind = 'act' ORDER BY seq LIMIT 1)"
    )
    for table in ("journal_leaf", "journal_node", "journal_seal"):
        if scene.one(f"SELECT count(*) FROM {table}"):
            scene.meddle(f"DELETE FROM {table}")
    scene.meddle(
        "INSERT INTO journal_pending (kind, entry_id) SELECT 'act', id FROM journal_entry"
        " UNION ALL SELECT 'fact', id FROM legal_history"
    )
    seal_all(scene.house.database)
    assert scene.audit("--offline")[0] == 0

    code, said = scene.audit()

    assert code == 1
    assert "the journal was written anew" in said
