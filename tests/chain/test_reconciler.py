"""The projection held against the chain."""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec import Raw
from sqlmodel import col, select

from chain.contracts.abi import contract
from chain.errors import RpcRefused
from chain.node.client import ChainClient, hex_of
from chain.proving.many_calls import MULTICALL3
from chain.proving.reconciler import Reconciler
from chain.sync.indexer import Indexer
from registry.captable import service as captable
from registry.captable.degraded import is_doubtful
from registry.captable.models import ProofRound, Reconciliation, RegisteredWallet
from registry.kernel.db import Database
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import ADDRESSES, COUNTRIES, Suite, count, cursor_of
from tests.chain.world import World

pytestmark = pytest.mark.chain


@pytest.fixture
def held(suite: Suite) -> Suite:
    for number in range(3):
        suite.mint(number, 1_000)
    suite.do("freezePartialTokens", ADDRESSES[1], 10)
    suite.index()
    return suite


def reconcile(suite: Suite) -> int:
    """Take turns until nothing is due; give the proofs made."""
    return drained(Reconciler(suite.world.database, suite.world.client))


def drained(reconciler: Reconciler) -> int:
    made = 0
    for _ in range(20):
        more = reconciler.reconcile_due()
        if not more:
            return made
        made += more
    raise AssertionError("the reconciler does not come to an end")


def newest(suite: Suite) -> Reconciliation:
    with suite.world.database.reading() as session:
        proof = captable.latest_reconciliation(session, suite.token)
        assert proof is not None
        return proof


def run(database: Database, statement: str) -> None:
    with database.engine.begin() as connection:
        assert connection.exec_driver_sql(statement).rowcount == 1


def balance_of(suite: Suite, person: int) -> str:
    """Give the SQL condition that finds a person's balance of this token."""
    return (
        f"holder_no = (SELECT holder_no FROM holder WHERE address = '\\x{ADDRESSES[person].hex()}')"
        f" AND token_no = (SELECT token_no FROM token WHERE address = '\\x{suite.token.hex()}')"
    )


def something_happens(suite: Suite) -> None:
    """Let there be a new event, so that a new proof is due."""
    suite.do("unpause" if suite.on_chain().paused else "pause")
    suite.index()


def test_reconcile__exact__records_a_proof_without_differences(held: Suite) -> None:
    assert reconcile(held)

    proof, cursor = newest(held), cursor_of(held.world.database)
    assert proof.differences == []
    assert (proof.block_number, proof.block_hash) == (cursor.number, cursor.hash)
    assert proof.holders == 3
    assert proof.projected_supply_units == proof.chain_supply_units == 3_000
    assert cursor.degraded is None


def test_reconcile__proven_and_unchanged__is_not_asked_again_so_soon(held: Suite) -> None:
    assert reconcile(held)
    assert reconcile(held) == 0
    held.world.node.mine()
    held.index()
    assert reconcile(held) == 0
    something_happens(held)
    # The pause names nobody, but the token as a whole is asked about.
    assert reconcile(held)


def test_reconcile__proven_long_ago__is_asked_again(held: Suite) -> None:
    reconcile(held)
    run(
        held.world.database,
        "UPDATE proof_round SET begun_at = begun_at - interval '5 minutes'",
    )
    assert reconcile(held)


@pytest.mark.parametrize(
    ("tampering", "difference"),
    [
        (
            "UPDATE balance SET balance_units = 1001 WHERE {second}",
            {"what": "balance", "database": "1001", "chain": "1000"},
        ),
        (
            "UPDATE balance SET frozen_units = 0 WHERE {second}",
            {"what": "frozen", "database": "0", "chain": "10"},
        ),
        (
            "UPDATE token SET supply_units = 2999",
            {"what": "supply", "database": "2999", "chain": "3000"},
        ),
        (
            "DELETE FROM balance WHERE {second}",
            # Found because the wallet is registered still.
            {"what": "balance", "database": "0", "chain": "1000"},
        ),
    ],
    ids=["balance", "frozen", "supply", "holder deleted"],
)
def test_reconcile__tampered__is_recorded_and_degrades_until_repaired(
    held: Suite, tampering: str, difference: dict[str, str]
) -> None:
    second = balance_of(held, 1)
    run(held.world.database, tampering.format(second=second))

    assert reconcile(held)

    found, *_ = newest(held).differences
    assert difference.items() <= found.items()
    assert found.get("holder", hex_of(ADDRESSES[1])) == hex_of(ADDRESSES[1])
    assert hex_of(held.token) in (cursor_of(held.world.database).degraded or "")

    for table in ("balance", "token"):
        repair(held, table)
    something_happens(held)
    assert reconcile(held)
    assert newest(held).differences == []
    assert cursor_of(held.world.database).degraded is None


def repair(suite: Suite, table: str) -> None:
    number = f"(SELECT token_no FROM token WHERE address = '\\x{suite.token.hex()}')"
    with suite.world.database.engine.begin() as connection:
        if table == "token":
            connection.exec_driver_sql(
                f"UPDATE token SET supply_units = 3000 WHERE token_no = {number}"
            )
            return
        connection.exec_driver_sql(f"DELETE FROM balance WHERE token_no = {number}")
        connection.exec_driver_sql(
            "INSERT INTO balance (token_no, holder_no, balance_units, frozen_units, block_number)"
            " SELECT DISTINCT ON (holder_no) token_no, holder_no, balance_units, frozen_units,"
            f" block_number FROM balance_history WHERE token_no = {number}"
            " ORDER BY holder_no, block_number DESC"
        )


def test_reconcile__two_tokens_differ__one_repaired__stays_degraded_for_the_other(
    held: Suite,
) -> None:
    other = held.deploy("second")
    other.register(0, 40)
    other.mint(0, 3_000)
    held.index()
    for token in (held, other):
        run(
            held.world.database,
            f"UPDATE balance SET balance_units = 7 WHERE {balance_of(token, 0)}",
        )
    assert reconcile(held)

    repair(other, "balance")
    something_happens(other)
    reconcile(other)

    assert newest(other).differences == []
    assert newest(held).differences != []
    assert hex_of(held.token) in (cursor_of(held.world.database).degraded or "")


def test_reconcile__one_token_differs__another_is_not_in_doubt(held: Suite) -> None:
    other = held.deploy("second")
    other.register(0, 40)
    other.mint(0, 3_000)
    held.index()
    run(held.world.database, f"UPDATE balance SET balance_units = 7 WHERE {balance_of(held, 0)}")

    assert reconcile(held)

    cursor = cursor_of(held.world.database)
    assert hex_of(held.token) in (cursor.degraded or "")
    assert cursor.chain_doubt is None
    with held.world.database.reading() as session:
        assert is_doubtful(session, captable.get_token(session, held.token))
        assert not is_doubtful(session, captable.get_token(session, other.token))


def test_reconcile__block_of_the_proof_is_taken_back__token_stays_in_doubt(held: Suite) -> None:
    run(held.world.database, f"UPDATE balance SET frozen_units = 7 WHERE {balance_of(held, 0)}")
    assert reconcile(held)
    assert newest(held).differences != []

    held.world.node.roll_back(1)
    held.mint(1, 5)
    held.index()

    assert count(held.world.database, Reconciliation) == 0
    with held.world.database.reading() as session:
        assert is_doubtful(session, captable.get_token(session, held.token))


def test_reconcile__block_left_the_chain_meanwhile__is_postponed(held: Suite) -> None:
    held.world.node.roll_back(1)

    assert reconcile(held) == 0
    assert count(held.world.database, Reconciliation) == 0

    held.index()
    assert reconcile(held)
    assert newest(held).differences == []


def test_reconcile__node_shows_the_next_blocks_state_for_a_moment__opens_no_break(
    held: Suite,
) -> None:
    class Mining(ChainClient):
        """Anvil writes the state of a block before it tells of the block."""

        asked = 0

        def request(self, method: str, *params: Any) -> Any:
            if method == "eth_call" and isinstance(params[1], dict):
                self.asked += 1
                if self.asked == 2:
                    return super().request(method, params[0], "pending", *params[2:])
            return super().request(method, *params)

    held.send("mint", ADDRESSES[0], 100)
    node = Mining(held.world.node.url, CHAIN_ID)

    assert drained(Reconciler(held.world.database, node))

    assert node.asked > 2
    with held.world.database.reading() as session:
        proofs = session.exec(select(Reconciliation)).all()
    assert proofs
    assert not any(proof.differences for proof in proofs)


def test_reconcile__reorg__takes_the_proofs_of_its_blocks_back(held: Suite) -> None:
    reconcile(held)
    proven_at = newest(held).block_number
    something_happens(held)
    reconcile(held)

    held.world.node.roll_back(1)
    held.index()

    with held.world.database.reading() as session:
        blocks = session.exec(select(col(Reconciliation.block_number))).all()
    assert set(blocks) == {proven_at}


def test_reconcile__node_kept_logs_back__is_found_out(held: Suite) -> None:
    """Nothing in such an answer contradicts itself; only the balances do."""

    class Forgetful(ChainClient):
        def logs(self, *_: object) -> list[Raw]:
            return []

        def logs_of_block(self, *_: object) -> list[Raw]:
            return []

        def emitters(self, *_: object) -> set[bytes]:
            return set()

    held.mint(0, 5)
    held.index(Indexer(held.world.database, Forgetful(held.world.node.url, CHAIN_ID)))
    assert held.projected().supply == 3_000

    assert reconcile(held)
    supply, balance = newest(held).differences
    assert supply == {"what": "supply", "database": "3000", "chain": "3005"}
    assert (balance["database"], balance["chain"]) == ("1000", "1005")
    assert hex_of(held.token) in (cursor_of(held.world.database).degraded or "")


@pytest.mark.parametrize(
    ("tampering", "difference"),
    [
        (
            "UPDATE registered_wallet SET country = 1 WHERE {second}",
            {"what": "country", "database": "1", "chain": str(COUNTRIES[1])},
        ),
        (
            "UPDATE registered_wallet SET identity = '\\x{nobody}' WHERE {second}",
            {"what": "identity", "database": "0x" + "11" * 20},
        ),
        (
            "DELETE FROM registered_wallet WHERE {second}",
            {"what": "identity", "database": None},
        ),
        (
            "UPDATE token SET paused = NOT paused",
            {"what": "paused", "database": "false", "chain": "true"},
        ),
        (
            "UPDATE token_event SET extra = '{{\"frozen\": false}}' WHERE kind = 2",
            {"what": "address frozen", "database": "false", "chain": "true"},
        ),
    ],
    ids=["country", "identity", "registration", "pause", "frozen address"],
)
def test_reconcile__anything_else_tampered__is_found(
    held: Suite, tampering: str, difference: dict[str, str]
) -> None:
    held.do("setAddressFrozen", ADDRESSES[2], True)
    held.index()
    assert reconcile(held)
    assert newest(held).differences == []
    statement = tampering.format(second=balance_of(held, 1), nobody="11" * 20)
    run(held.world.database, statement)
    run(held.world.database, "UPDATE proof_round SET begun_at = begun_at - interval '5 minutes'")

    assert reconcile(held)

    assert any(difference.items() <= found.items() for found in newest(held).differences)
    assert cursor_of(held.world.database).degraded is not None


def test_reconcile__more_holders_than_the_budget__goes_round_in_slices(held: Suite) -> None:
    reconciler = Reconciler(held.world.database, held.world.client, holders_per_second=2)
    for _ in range(20):
        reconciler.reconcile_due()
        time.sleep(0.3)
        with held.world.database.reading() as session:
            swept = session.exec(select(ProofRound)).first()
        if swept is not None and swept.ended_at is not None:
            break
    assert swept is not None
    assert swept.ended_at is not None
    assert swept.after_holder == max(holder_numbers(held))
    assert newest(held).differences == []


def holder_numbers(suite: Suite) -> list[int]:
    with suite.world.database.reading() as session:
        return list(session.exec(select(RegisteredWallet.holder_no)).all())


def test_reconcile__slice_that_differs__is_not_forgotten_by_a_clean_one(held: Suite) -> None:
    reconcile(held)
    run(
        held.world.database,
        f"UPDATE balance SET frozen_units = 1 WHERE {balance_of(held, 1)}",
    )
    run(held.world.database, "UPDATE proof_round SET begun_at = begun_at - interval '5 minutes'")
    reconcile(held)
    assert newest(held).differences

    held.mint(0, 5)
    held.index()
    reconcile(held)

    (found,) = newest(held).differences
    assert found["holder"] == hex_of(ADDRESSES[1])


def test_reconcile__node_without_overrides__is_asked_in_batches(held: Suite) -> None:
    class Plain(ChainClient):
        def request(self, method: str, *params: Any) -> Any:
            if method == "eth_call" and len(params) > 2:
                raise RpcRefused(method, -32602, "too many arguments", None)
            return super().request(method, *params)

    client = Plain(held.world.node.url, CHAIN_ID)
    assert drained(Reconciler(held.world.database, client)) == 2
    assert newest(held).differences == []


def test_reconcile__multicall_stands__is_used(held: Suite) -> None:
    held.world.node.rpc("anvil_setCode", hex_of(MULTICALL3), hex_of(contract("CallBatch").deployed))
    seen = []

    class Watching(ChainClient):
        def request(self, method: str, *params: Any) -> Any:
            if method == "eth_call" and params[0]["to"] == hex_of(MULTICALL3):
                seen.append(len(params))
            return super().request(method, *params)

    client = Watching(held.world.node.url, CHAIN_ID)
    held.world.node.mine()
    held.index()
    assert drained(Reconciler(held.world.database, client)) == 2
    assert newest(held).differences == []
    assert seen == [2], "one call, and no code lent for it"


def test_reconcile__never_synced__proves_nothing(empty_and_unsynced: Reconciler) -> None:
    assert empty_and_unsynced.reconcile_due() == 0


@pytest.fixture
def empty_and_unsynced(empty: World) -> Reconciler:
    return Reconciler(empty.database, empty.client)
