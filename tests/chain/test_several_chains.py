"""Two chains at once, with the same suite at the same addresses: each has its own cap table."""

from __future__ import annotations

import threading
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlmodel import col, select

from chain.contracts.abi import contract
from chain.following import client_of, run_syncs
from chain.node.client import ChainClient, hex_of
from chain.proving.reconciler import Reconciler
from chain.sync.adoption import examine
from chain.sync.catch_up import CatchUp
from chain.sync.indexer import Indexer
from registry.captable import catching_up
from registry.captable import service as captable
from registry.captable.models import Balance, SyncCursor, Token
from registry.journal.models import JournalEntry
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.db import Database
from registry.kernel.errors import NotFound
from registry.kernel.settings import Settings
from registry.tokenization.models import Tokenization, TokenizationState
from tests.chain.nodes import CHAIN_ID, Node
from tests.chain.stage import Stage
from tests.chain.suite import ADDRESSES, Suite, cursor_of
from tests.chain.test_reconciler import drained
from tests.chain.test_worker import eventually
from tests.chain.world import PLATFORM, address_of

pytestmark = pytest.mark.chain

OTHER = 10


def follows(url: str) -> Settings:
    return Settings.model_validate(
        {"followed_chains": [{"chain_id": OTHER, "rpc_url": url, "finality": 1}]}
    )


def units_of(database: Database, chain_id: int) -> list[int]:
    """Give the balances of the tokens of a chain that are caught up, smallest first."""
    with database.reading() as session:
        query = (
            select(Balance.balance_units)
            .join(Token, col(Token.token_no) == col(Balance.token_no))
            .where(col(Token.chain_id) == chain_id, col(Token.caught_up_to).is_(None))
        )
        return sorted(map(int, session.exec(query).all()))


def test_two_chains__same_addresses__are_projected_each_by_itself(
    suite: Suite, suite_stage: Stage, tmp_path: Path
) -> None:
    database, mint = suite.world.database, contract("Token").functions["mint"]
    (tmp_path / "other").mkdir()
    stop = threading.Event()
    with Node(tmp_path / "other", state=suite_stage.state, chain_id=OTHER) as other:
        settings = follows(other.url)
        syncs = threading.Thread(
            target=run_syncs, args=(database, settings, suite.world.client, stop)
        )
        syncs.start()
        try:
            eventually(lambda: _cursor(database, OTHER))
            there = mint.encode(hex_of(ADDRESSES[0]), 777)
            other.act_as(address_of(PLATFORM), suite.token, there)
            found = examine(client_of(settings, OTHER), suite.token)
            with database.transaction() as session:
                catching_up.adopt(session, THE_SYSTEM, OTHER, found)
            suite.mint(0, 5)
            eventually(lambda: units_of(database, OTHER) == [777])
            eventually(lambda: units_of(database, CHAIN_ID) == [5])
            with database.reading() as session:
                assert captable.get_token(session, suite.token).chain_id == CHAIN_ID

            # A chain whose node is away holds the other up in nothing.
            other.kill()
            suite.mint(1, 9)
            eventually(lambda: units_of(database, CHAIN_ID) == [5, 9])
            eventually(
                lambda: (
                    cursor_of(database).hash == suite.world.client.head().hash
                    and cursor_of(database).degraded is None
                )
            )
        finally:
            stop.set()
            syncs.join(30)
    assert units_of(database, OTHER) == [777]
    suite.assert_exact()


class Renamed(ChainClient):
    """Gives the blocks of our chain as if they were those of another."""

    def check(self) -> None:
        pass


def tokenize(suite: Suite) -> None:
    """Have the token be a tokenization's, of an asset that nobody looks at."""
    with suite.world.database.transaction() as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.add(
            Tokenization(
                asset_id=uuid4(),
                state=TokenizationState.LIVE,
                symbol="HAND",
                name="By hand",
                declared_fractions=100,
                price_paisa=1,
                economic_share_num=1,
                economic_share_den=1,
                structured_by="the test",
                token_address=suite.token,
            )
        )


def test_differs__adopted_at_the_address_of_one_of_ours__is_somebody_elses(suite: Suite) -> None:
    database = suite.world.database
    tokenize(suite)
    client = Renamed(suite.world.node.url, OTHER)
    Indexer(database, client).advance()
    with database.transaction() as session:
        catching_up.adopt(session, THE_SYSTEM, OTHER, examine(client, suite.token))
    while CatchUp(database, client).advance():
        pass
    with database.transaction() as session:
        session.execute(text("UPDATE registered_wallet SET country = 4"))

    drained(Reconciler(database, client))

    cursor = _cursor(database, OTHER)
    assert cursor is not None
    assert cursor.degraded is None
    with database.reading() as session:
        told = select(JournalEntry.act).where(col(JournalEntry.act).like("%differs"))
        assert session.exec(told).all() == ["adopted_token_differs"]


def _cursor(database: Database, chain_id: int) -> SyncCursor | None:
    with database.reading() as session:
        found: SyncCursor | None = session.get(SyncCursor, chain_id)
        return found


def test_settings__chain_named_twice__is_refused() -> None:
    with pytest.raises(ValidationError, match="FOLLOWED_CHAINS"):
        Settings.model_validate(
            {"followed_chains": [{"chain_id": CHAIN_ID, "rpc_url": "http://localhost:1"}]}
        )


def test_client_of__chain_that_is_not_followed__is_refused() -> None:
    with pytest.raises(NotFound):
        client_of(follows("http://localhost:1"), 5)
