"""`milkiyat audit` names the row that somebody changed by hand, whatever kind of row it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import typer
from sqlalchemy import text
from sqlmodel import col, select
from typer.testing import CliRunner

from api.audit_cli import add_audit
from api.deps import Services
from chain.contracts.abi import contract
from chain.following import client_of
from chain.node.client import bytes_of, hex_of
from chain.proving.reconciler import Reconciler
from chain.proving.repair import Repair
from chain.sync.adoption import examine
from chain.sync.catch_up import CatchUp
from chain.sync.indexer import Indexer
from registry.captable import catching_up, rewind
from registry.captable.events import ProjectedBlock
from registry.captable.models import ChainBlock
from registry.certificate import service as certificates
from registry.document.store import FolderStore
from registry.journal.sealer import seal_all
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.settings import FollowedChain
from registry.sanctions import lists
from registry.title import service as titles
from tests import factories as make
from tests import intakes
from tests.api.house import House
from tests.chain import anchored
from tests.chain.market import FIRST, KEYS, Market
from tests.chain.nodes import Node
from tests.chain.stage import Stage
from tests.chain.suite import ADDRESSES, catch_up
from tests.chain.test_eligibility_api import house_of
from tests.chain.world import PLATFORM, address_of, ask, key_of
from tests.factories import COMPLIANCE, MAKER
from tests.sanctioned import file_of

pytestmark = pytest.mark.chain

OTHER = 10
MINT = "(SELECT min(id::text)::uuid FROM operation WHERE kind = 'mint')"
WHY = {"purpose": "Sale of a flat", "legal_basis": "Application of the owner"}


@dataclass
class Scene:
    """A register with a token, anchored, and whoever audits it."""

    house: House
    market: Market
    folder: Path
    made: Services

    def audit(self, *options: str) -> tuple[int, str]:
        app = typer.Typer()
        app.callback()(lambda: None)
        made = replace(self.made, store=FolderStore(self.folder))
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
            session.connection().execute(text("DELETE FROM kyc_review"))
            session.connection().execute(
                text("DELETE FROM legal_history WHERE table_name IN ('document', 'kyc_review')")
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
            make.tell_acts(session)
        seal_all(world.database)
        anchored.anchor(world)
        assert Reconciler(world.database, world.client).reconcile_due() > 0
        seal_all(world.database)
        yield Scene(house, minted, folder, house.services)


def test_audit__untouched__finds_nothing(scene: Scene) -> None:
    code, said = scene.audit()

    assert code == 0, said
    assert said.endswith("nothing was changed by hand\n")
    assert scene.audit("--offline")[0] == 0


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        (
            ("INSERT INTO orphan_block (chain_id, hash, orphaned_at, number, mined_at, recorded_at)"
            " VALUES (5, sha256('x'), now(), 1, now(), now())"),
            ("SELECT 'Block 0x' || encode(sha256('x'), 'hex') || ' of chain 5 in orphan_block was"
            " never taken back'"),
        ),
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
        (
            ("UPDATE reconciliation SET differences = '[{\"what\": \"supply\"}]' WHERE id ="
            " (SELECT min(id::text)::uuid FROM reconciliation)"),
            "SELECT 'Row ' || min(id::text) || ' of reconciliation' FROM reconciliation",
        ),
        (
            ("UPDATE reconciliation SET void_since = now() WHERE id ="
            " (SELECT min(id::text)::uuid FROM reconciliation)"),
            "SELECT 'Row ' || min(id::text) || ' of reconciliation' FROM reconciliation",
        ),
        (
            f"UPDATE operation SET params = params || '{{\"units\": \"7\"}}' WHERE id = {MINT}",
            f"SELECT 'Row ' || {MINT} || ' of operation is not what the journal says was planned'",
        ),
        (
            f"UPDATE operation SET requested_by = 'an officer' WHERE id = {MINT}",
            f"SELECT 'Row ' || {MINT} || ' of operation is not what the journal says was planned'",
        ),
        (
            ("INSERT INTO operation (id, recorded_at, kind, key, state, subject_kind, subject_id,"
            " requested_by, params, result) SELECT '019a0000-0000-7000-8000-000000000001',"
            " recorded_at, kind, 'forged', 'final', subject_kind, subject_id, requested_by, params,"
            f" result FROM operation WHERE id = {MINT}"),
            ("SELECT 'Row 019a0000-0000-7000-8000-000000000001 of operation was never planned, as"
            " the journal tells'"),
        ),
        (
            f"DELETE FROM operation WHERE id = {MINT}",
            f"SELECT 'Row ' || {MINT} || ' of operation is gone'",
        ),
        (
            f"DELETE FROM operation_attempt WHERE operation_id = {MINT}",
            (f"SELECT 'Row ' || {MINT} || ' of operation is final, and operation_attempt has no"
            " transaction of it in a block'"),
        ),
        (
            (f"WITH gone AS (DELETE FROM operation_attempt WHERE operation_id = {MINT})"
            f" UPDATE operation SET state = 'refused', signer = NULL, nonce = NULL"
            f" WHERE id = {MINT}"),
            (f"SELECT 'Row 0x' || encode(tx_hash, 'hex') || ' of operation_attempt is gone: that"
            f" transaction carried out operation ' || {MINT} FROM operation_attempt"
            f" WHERE operation_id = {MINT}"),
        ),
        (
            f"UPDATE operation SET state = 'reverted' WHERE id = {MINT}",
            (f"SELECT 'Row ' || {MINT} || ' of operation is reverted, and row 0x' ||"
            f" encode(tx_hash, 'hex') FROM operation_attempt WHERE operation_id = {MINT}"),
        ),
        (
            ("UPDATE operation_attempt SET operation_id = (SELECT min(id::text)::uuid"
            f" FROM operation), seq = 7 WHERE operation_id = {MINT}"),
            (f"SELECT 'of operation ' || min(id::text) || ', and carried out operation ' || {MINT}"
            " FROM operation"),
        ),
        (
            f"UPDATE operation_attempt SET raw = raw || '\\x00' WHERE operation_id = {MINT}",
            (f"SELECT 'Row 0x' || encode(tx_hash, 'hex') || ' of operation_attempt: its bytes are"
            f" not' FROM operation_attempt WHERE operation_id = {MINT}"),
        ),
        (
            (f"UPDATE operation_attempt SET block_number = block_number + 1"
            f" WHERE operation_id = {MINT}"),
            (f"SELECT 'Row ' || {MINT} || ' of operation is final, and row 0x' ||"
            f" encode(tx_hash, 'hex') FROM operation_attempt WHERE operation_id = {MINT}"),
        ),
    ],
    ids=[
        "lost block", "act", "sealed image", "title version", "title share", "asset", "transfer",
        "registration", "claim", "block", "document's hash", "certificate", "anchor",
        "proof", "proof void", "instruction", "who instructed", "forged instruction",
        "instruction gone", "transaction gone", "transaction forgotten", "instruction undone",
        "transaction of another", "bytes of a transaction", "block of a transaction",
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


def test_audit__proofs_void_or_taken_back__finds_nothing(scene: Scene) -> None:
    """Reading again makes a proof void, a reorg takes it: both have their acts."""
    world = scene.market.world
    token_no = scene.one("SELECT token_no FROM reconciliation")
    assert isinstance(token_no, int)

    Repair(world.database, world.client, token_no, lambda _: None).read_again(1)

    assert scene.one("SELECT count(*) FROM reconciliation WHERE void_since IS NULL") == 0
    code, said = scene.audit("--offline")
    assert code == 0, said

    with world.database.transaction() as session:
        stood = session.exec(select(ChainBlock).order_by(col(ChainBlock.number)).limit(1)).one()
        ancestor = ProjectedBlock(stood.number, stood.hash, stood.parent_hash, stood.mined_at)
        rewind.rewind(session, stood.chain_id, ancestor)

    assert scene.one("SELECT count(*) FROM reconciliation") == 0
    code, said = scene.audit("--offline")
    assert code == 0, said


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


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            ("INSERT INTO sanctions_screening SELECT p.id, l.id, p.version, now()"
            " FROM party AS p, sanctions_list AS l WHERE p.id = :party"),
            "Row {party} of sanctions_screening says that the party was screened: it matches",
        ),
        (
            ("INSERT INTO alert_cursor (source, last_id) SELECT 'hits:82', max(id::text)::uuid"
            " FROM sanctions_hit WHERE party_id = :party HAVING count(*) > 0"),
            "Row hits:82 of alert_cursor lies behind hit",
        ),
    ],
    ids=["never screened", "no alert"],
)  # fmt: skip
def test_audit__name_on_the_list_passed_over__is_named(
    scene: Scene, statement: str, sentence: str
) -> None:
    with scene.house.database.transaction() as session:
        desk = make.Desk(session, scene.house.services.vault, FolderStore(scene.folder))
        if "alert_cursor" in statement:
            party_id = intakes.listed_party(desk)
        else:
            party_id = make.person(desk, name="Mohd Usman Barlasi").id
            lists.import_list(session, COMPLIANCE, file_of())
        make.tell_acts(session)
    assert scene.audit("--offline")[0] == 0
    scene.meddle(statement, party=party_id)

    code, said = scene.audit("--offline")

    assert code == 1
    assert sentence.format(party=party_id) in said


def test_audit__paper_changed_in_the_store__is_named(scene: Scene) -> None:
    stored = scene.one("SELECT encode(stored_as, 'hex') FROM document ORDER BY id LIMIT 1")
    row = scene.one("SELECT id FROM document ORDER BY id LIMIT 1")
    blob = scene.folder / str(stored)[:2] / str(stored)
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x00")

    code, said = scene.audit("--offline")

    assert code == 1
    assert f"Row {row} of document" in said


def write_anew(scene: Scene) -> None:
    """Change an entry, and seal everything again as if it had always been so."""
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


OWN = f"{'00' * 19}99"
FORGET = "DELETE FROM platform_contract WHERE name = 'RegistryAnchor'"
FORGET_ALL = (
    FORGET,
    "DELETE FROM followed_contract WHERE name = 'RegistryAnchor'",
    "DELETE FROM contract_event WHERE event = 'RootAnchored'",
    "DELETE FROM journal_anchor",
)
MOVE = f"UPDATE platform_contract SET address = '\\x{OWN}' WHERE name = 'RegistryAnchor'"


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        ((), "the journal was written anew"),
        ((FORGET,), "platform_contract has no RegistryAnchor"),
        ((MOVE,), "stands at more than one address"),
        (("DELETE FROM journal_anchor", FORGET_ALL[2]), "the journal was written anew"),
    ],
    ids=["nothing more", "contract forgotten", "contract of another", "sizes forgotten"],
)
def test_audit__journal_written_anew__is_found_by_its_root_on_chain(
    scene: Scene, statements: tuple[str, ...], sentence: str
) -> None:
    write_anew(scene)
    for statement in statements:
        scene.meddle(statement)

    code, said = scene.audit()

    assert code == 1
    assert "the journal was written anew" in said
    assert sentence in said


def test_audit__everything_of_anchors_forgotten__is_found_at_the_address_that_was_noted(
    scene: Scene,
) -> None:
    noted = hex_of(scene.market.world.place("RegistryAnchor"))
    write_anew(scene)
    for statement in FORGET_ALL:
        scene.meddle(statement)

    code, said = scene.audit("--contract", noted)

    assert code == 1
    assert "the journal was written anew" in said
    assert scene.audit("--contract", "nowhere")[0] == 2


def test_audit__anchors_without_a_contract__are_told(scene: Scene) -> None:
    for statement in FORGET_ALL[:3]:
        scene.meddle(statement)

    code, said = scene.audit()

    assert code == 1
    assert "platform_contract has no RegistryAnchor" in said


def test_audit__cursor_of_the_sync_gone__is_told(scene: Scene) -> None:
    scene.meddle("DELETE FROM sync_cursor")

    code, said = scene.audit()

    assert code == 1
    assert "sync_cursor has no row of chain" in said


@pytest.fixture
def elsewhere(scene: Scene, suite_stage: Stage, tmp_path: Path) -> Iterator[tuple[Scene, Node]]:
    """The same register, with a token of another chain that it follows."""
    database = scene.house.database
    folder = tmp_path / "other"
    folder.mkdir()
    with Node(folder, state=suite_stage.state, chain_id=OTHER) as node:
        followed = FollowedChain(chain_id=OTHER, rpc_url=node.url, finality=1)
        services = scene.house.services
        settings = services.settings.model_copy(update={"followed_chains": (followed,)})
        scene.made = replace(services, settings=settings)
        there = client_of(settings, OTHER)
        factory = scene.market.world.place("TREXFactory")
        token = bytes_of(ask(there, "TREXFactory", factory, "getToken", "first"))
        mint = contract("Token").functions["mint"].encode(hex_of(ADDRESSES[0]), 777)
        node.act_as(address_of(PLATFORM), token, mint)
        catch_up(Indexer(database, there))
        with database.transaction() as session:
            catching_up.adopt(session, THE_SYSTEM, OTHER, examine(there, token))
        behind = CatchUp(database, there)
        while behind.advance():
            pass
        yield scene, node


def test_audit__token_of_another_chain__is_held_against_that_chain(
    elsewhere: tuple[Scene, Node],
) -> None:
    scene, node = elsewhere
    code, said = scene.audit()
    assert code == 0, said
    scene.meddle(
        "UPDATE token_event SET units = 778 WHERE units = 777 AND token_no IN"
        f" (SELECT token_no FROM token WHERE chain_id = {OTHER})"
    )

    code, said = scene.audit()

    assert code == 1
    assert "of token_event" in said
    assert "units is 778, and 777 on chain" in said

    node.kill()
    code, said = scene.audit()

    assert code == 1
    assert f"Chain {OTHER} was not audited to its end" in said

    scene.made = scene.house.services
    code, said = scene.audit()

    assert code == 1
    assert f"Tokens of chain {OTHER} were not audited" in said
