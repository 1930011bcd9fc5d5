"""What an agent does past the cases is a break as soon as it is read; what holders do is not."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select

from chain.contracts.abi import contract
from chain.node.client import ChainClient, Sent, bytes_of, hex_of
from chain.operations.create_identity import identity_salt
from chain.proving.repair import Repair
from chain.sync.catch_up import CatchUp
from chain.sync.indexer import Indexer
from chain.sync.pace import FIRST_BLOCKS
from chain.sync.watch import Watch
from chain.worker import run_sync
from registry.captable.models import Token
from registry.captable.transfers import TransferNature
from registry.case.models import CaseKind
from registry.case.repository import chain_id_of
from registry.reconciliation.models import BreakState
from tests.chain.bench import NEW_WALLET, Bench
from tests.chain.market import FIRST, HELD, ISSUER, SECOND
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import catch_up
from tests.chain.test_repair import Forgetful
from tests.chain.world import CONFIRMATIONS, GAS_OF_SUITE, Hand, address_of, key_of

pytestmark = pytest.mark.chain

FIRST_WALLET, SECOND_WALLET, ISSUER_WALLET, NEW = (
    address_of(key_of(person)) for person in (FIRST, SECOND, ISSUER, NEW_WALLET)
)
ROGUE = 6


@pytest.fixture
def rogue(bench: Bench) -> Hand:
    """Somebody whom the token's owner made an agent, past everything."""
    hand = person(bench, ROGUE)
    make_agent(bench, hand.address)
    bench.index()
    return hand


def person(bench: Bench, number: int) -> Hand:
    hand = Hand(bench.market.world.node, key_of(number))
    bench.market.world.node.fund(hand.address)
    return hand


def make_agent(bench: Bench, address: bytes, function: str = "addAgent") -> None:
    data = contract("Token").functions[function].encode(hex_of(address))
    owner = bench.market.world.chain.platform.address
    bench.market.world.node.act_as(owner, bench.market.suite().token, data)


def subjects(bench: Bench) -> list[str]:
    return [item.subject for item in bench.breaks() if item.rule == "TOK-07"]


def details(bench: Bench) -> list[str]:
    return [item.detail for item in bench.breaks() if not item.subject.startswith("agent:")]


def test_agent_besides_ours__is_a_break_until_it_is_removed(bench: Bench, rogue: Hand) -> None:
    assert bench.watch() == 1
    assert subjects(bench) == [f"agent:{hex_of(rogue.address)}"]
    assert bench.breaks()[0].state == BreakState.OPEN
    assert bench.watch() == 0, "it is open already"

    make_agent(bench, rogue.address, "removeAgent")
    bench.index()
    assert bench.differences() == set()


def test_our_own_agent__is_no_break(bench: Bench) -> None:
    assert bench.watch() == 0
    assert bench.breaks() == []


ACTS: list[tuple[str, tuple[Any, ...], list[str]]] = [
    ("setAddressFrozen", (FIRST_WALLET, True), ["A ADDRESS_FROZEN matches no case"]),
    ("freezePartialTokens", (FIRST_WALLET, 10), ["A TOKENS_FROZEN of 10 matches no case"]),
    ("burn", (FIRST_WALLET, 10), ["A BURN of 10 matches no case"]),
    (
        "forcedTransfer",
        (FIRST_WALLET, SECOND_WALLET, 10),
        ["A FORCED_TRANSFER of 10 matches no case"],
    ),
]


@pytest.mark.parametrize(("function", "arguments", "said"), ACTS, ids=[act[0] for act in ACTS])
def test_act_of_a_foreign_agent__is_a_break(
    bench: Bench, rogue: Hand, function: str, arguments: tuple[Any, ...], said: list[str]
) -> None:
    bench.watch()
    rogue.call("Token", bench.market.suite().token, function, *arguments)

    assert bench.watch() == len(said)

    assert details(bench) == [f"{item} of the register." for item in said]
    bench.market.suite().assert_exact()


def test_unfreeze_by_a_foreign_agent__of_what_a_case_froze__is_a_break(
    bench: Bench, rogue: Hand
) -> None:
    bench.watch()
    make_agent(bench, rogue.address, "removeAgent")
    resume(bench)
    bench.done(CaseKind.FREEZE_UNITS)
    make_agent(bench, rogue.address)
    rogue.call("Token", bench.market.suite().token, "unfreezePartialTokens", FIRST_WALLET, 10)

    bench.watch()

    assert details(bench) == ["A TOKENS_UNFROZEN of 10 matches no case of the register."]


def resume(bench: Bench) -> None:
    """Let the sender know the nonces that its key spent by other hands."""
    world = bench.market.world
    with world.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE nonce_stream SET next_nonce = %s WHERE signer = %s",
            (world.client.nonce(world.chain.platform.address), world.chain.platform.address),
        )


def test_recovery_by_a_foreign_agent__is_a_break_for_each_thing_it_did(
    bench: Bench, rogue: Hand
) -> None:
    world, suite = bench.market.world, bench.market.suite()
    wallet = bench.prove_another()
    identity = bench.market.wallet(FIRST).identity
    assert identity is not None
    salt = identity_salt(wallet.investor_id)
    opened = contract("IdentityFactory").functions["open"].encode(salt, hex_of(wallet.address))
    world.node.act_as(world.chain.platform.address, world.place("IdentityFactory"), opened)
    bench.watch()
    rogue.call("Token", suite.token, "recoveryAddress", FIRST_WALLET, NEW, identity)

    assert bench.watch() == 2

    assert details(bench) == [
        f"A FORCED_TRANSFER of {HELD[FIRST]} matches no case of the register.",
        "A RECOVERY matches no case of the register.",
    ]
    assert bench.transfers(suite.token)[-1].nature == TransferNature.RECOVERED


def test_forced_transfer__through_a_contract_that_is_no_agent_of_ours__is_a_break(
    bench: Bench,
) -> None:
    """Another contract of the very same code logs cases too; the register knows only its own."""
    world, suite = bench.market.world, bench.market.suite()
    hand = person(bench, ROGUE)
    owner = [hex_of(hand.address)]
    creation = contract("CaseAgent").creation([owner[0], 0, owner, owner, owner])
    receipt = _created(bench, hand, creation)
    make_agent(bench, receipt)
    bench.watch()
    hand.call(
        "CaseAgent", receipt, "forcedTransfer",
        chain_id_of(UUID(int=7)), 1, suite.token, FIRST_WALLET, SECOND_WALLET, 10,
    )  # fmt: skip

    assert bench.watch() == 1

    assert details(bench) == ["A FORCED_TRANSFER of 10 matches no case of the register."]
    assert bench.transfers(suite.token)[-1].nature == TransferNature.FORCED
    assert world.place("CaseAgent") != receipt


def _created(bench: Bench, hand: Hand, creation: bytes) -> bytes:
    node = bench.market.world.node
    fields = {
        "from": hex_of(hand.address),
        "data": hex_of(creation),
        "gas": hex(GAS_OF_SUITE),
    }
    node.rpc("anvil_impersonateAccount", hex_of(hand.address))
    sent = bytes_of(node.rpc("eth_sendTransaction", fields))
    node.rpc("anvil_stopImpersonatingAccount", hex_of(hand.address))
    created = node.mined(sent).contract_address
    assert created is not None
    return created


CASES_OF_NOBODY = {
    "unknown": bytes(16) + UUID(int=7).bytes,
    "no UUID at all": b"\xff" * 32,
}


@pytest.mark.parametrize("case_id", CASES_OF_NOBODY.values(), ids=CASES_OF_NOBODY)
def test_our_agent__under_a_case_that_the_register_does_not_know__is_a_break(
    bench: Bench, case_id: bytes
) -> None:
    world, suite = bench.market.world, bench.market.suite()
    call = contract("CaseAgent").functions["forcedTransfer"]
    data = call.encode(
        case_id, 1, hex_of(suite.token), hex_of(FIRST_WALLET), hex_of(SECOND_WALLET), 10
    )
    world.node.act_as(world.chain.platform.address, world.place("CaseAgent"), data)

    assert bench.watch() == 1

    assert details(bench) == ["A FORCED_TRANSFER of 10 matches no case of the register."]


def test_our_agent__other_units_than_the_approved_case__is_a_break(bench: Bench) -> None:
    world, suite = bench.market.world, bench.market.suite()
    case_id = bench.approved(CaseKind.FORCED_TRANSFER)
    bench.execute(case_id)
    call = contract("CaseAgent").functions["forcedTransfer"]
    data = call.encode(
        chain_id_of(case_id), 1, hex_of(suite.token), hex_of(FIRST_WALLET),
        hex_of(SECOND_WALLET), 11,
    )  # fmt: skip
    world.node.act_as(world.chain.platform.address, world.place("CaseAgent"), data)

    assert bench.watch() == 1

    assert details(bench) == ["A FORCED_TRANSFER of 11 matches no case of the register."]


def test_watch__act_that_a_reorg_took_back_and_another_one__is_looked_at_anew(
    bench: Bench, rogue: Hand
) -> None:
    world, token = bench.market.world, bench.market.suite().token
    watch = Watch(world.database, CHAIN_ID)
    watch.look()
    rogue.call("Token", token, "freezePartialTokens", FIRST_WALLET, 10)
    bench.index()
    assert watch.look() == 1

    world.node.roll_back(1)
    rogue.call("Token", token, "freezePartialTokens", FIRST_WALLET, 11)
    bench.index()

    # The same place, another act: the break that is open says what is there now.
    assert watch.look() == 0
    assert details(bench) == ["A TOKENS_FROZEN of 11 matches no case of the register."]


def test_act_that_is_read_late__is_a_break_as_soon_as_the_token_joins_its_chain(
    bench: Bench, rogue: Hand
) -> None:
    """The watch has looked beyond its block already."""
    world, token = bench.market.world, bench.market.suite().token
    watch = Watch(world.database, CHAIN_ID)
    watch.look()
    rogue.call("Token", token, "freezePartialTokens", FIRST_WALLET, 10)
    at = world.client.head().number
    catch_up(Indexer(world.database, Forgetful(world.node.url, CHAIN_ID)))
    assert watch.look() == 0
    assert details(bench) == []

    with world.database.reading() as session:
        token_no = session.exec(select(Token.token_no).where(Token.address == token)).one()
    assert token_no is not None
    Repair(world.database, world.client, token_no, lambda _: None).read_again(at)
    behind = CatchUp(world.database, world.client)
    while behind.advance():
        pass

    assert details(bench) == ["A TOKENS_FROZEN of 10 matches no case of the register."]
    assert watch.look() == 0


def test_holders_own_transfers__are_no_breaks(bench: Bench) -> None:
    suite = bench.market.suite()
    bench.market.open()
    first, second = person(bench, FIRST), person(bench, SECOND)
    first.call("Token", suite.token, "transfer", SECOND_WALLET, 10)
    first.call("Token", suite.token, "batchTransfer", [hex_of(ISSUER_WALLET)], [5])
    first.call("Token", suite.token, "approve", SECOND_WALLET, 20)
    second.call("Token", suite.token, "transferFrom", FIRST_WALLET, SECOND_WALLET, 20)

    assert bench.watch() == 0

    assert bench.breaks() == []
    moved = [row for row in bench.transfers(suite.token) if row.source is not None]
    assert {row.nature for row in moved} == {TransferNature.TRANSFERRED}
    assert [row.units for row in moved] == [10, 5, 20]


class Asked(ChainClient):
    """Counts the transactions that were asked for."""

    asked = 0

    def kept_transactions(self, mined: Mapping[bytes, int]) -> dict[bytes, Sent]:
        self.asked += len(mined)
        return super().kept_transactions(mined)


def test_transfers_while_the_only_agent_is_ours__ask_the_node_for_nothing(bench: Bench) -> None:
    suite = bench.market.suite()
    bench.market.open()
    person(bench, FIRST).call("Token", suite.token, "transfer", SECOND_WALLET, 10)
    client = Asked(bench.market.world.node.url, CHAIN_ID)

    catch_up(Indexer(bench.market.world.database, client))

    assert client.asked == 0
    assert bench.transfers(suite.token)[-1].nature == TransferNature.TRANSFERRED


@pytest.mark.parametrize("blocks", [1, FIRST_BLOCKS], ids=["block by block", "one range"])
def test_agent_for_a_moment__its_forced_transfer_is_told_from_those_around_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    """However the chain is cut into ranges, and though they are read before the one before."""
    suite = bench.market.suite()
    bench.market.open()
    holder, hand = person(bench, FIRST), person(bench, ROGUE)
    bench.index()
    holder.call("Token", suite.token, "transfer", SECOND_WALLET, 1)
    make_agent(bench, hand.address)
    hand.call("Token", suite.token, "forcedTransfer", FIRST_WALLET, SECOND_WALLET, 2)
    holder.call("Token", suite.token, "transfer", SECOND_WALLET, 3)
    make_agent(bench, hand.address, "removeAgent")
    holder.call("Token", suite.token, "transfer", SECOND_WALLET, 4)
    monkeypatch.setattr("chain.sync.pace.FIRST_BLOCKS", blocks)
    monkeypatch.setattr("chain.sync.pace.MOST_BLOCKS", blocks)

    bench.index()

    assert [row.nature for row in bench.transfers(suite.token)[-4:]] == [
        TransferNature.TRANSFERRED,
        TransferNature.FORCED,
        TransferNature.TRANSFERRED,
        TransferNature.TRANSFERRED,
    ]


def test_sync__raises_the_alarm_by_itself(bench: Bench, rogue: Hand) -> None:
    world, stop = bench.market.world, threading.Event()
    rogue.call("Token", bench.market.suite().token, "setAddressFrozen", FIRST_WALLET, True)
    loop = threading.Thread(
        target=run_sync,
        args=(world.database, world.client, stop),
        kwargs={"finality": CONFIRMATIONS},
    )
    loop.start()
    try:
        for _ in range(200):
            if len(subjects(bench)) == 2:
                break
            stop.wait(0.1)
    finally:
        stop.set()
        loop.join()

    assert len(subjects(bench)) == 2
