"""Tokens that stand on our chain and then log nonsense: each is refused, and all else goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from eth_abi.abi import encode
from msgspec import Raw
from sqlmodel import col, select

from chain.contracts.abi import contract
from chain.errors import RpcRefused
from chain.node.client import ChainClient, bytes_of, hex_of
from chain.proving.reconciler import Reconciler
from chain.sync.catch_up import CatchUp
from chain.sync.indexer import Indexer
from registry.captable import catching_up
from registry.captable import service as captable
from registry.captable.models import EventKind, Token, TokenEvent
from registry.kernel.errors import Conflict, Unavailable
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import ADDRESSES, Suite, catch_up
from tests.chain.test_adoption import read_all
from tests.chain.test_control import changes, on_chain
from tests.chain.test_reconciler import drained

pytestmark = pytest.mark.chain

SOMEBODY = b"\x99" * 20
NOTHING = bytes(32)


def says(*logs: tuple[list[bytes], bytes]) -> str:
    """Give code that writes logs, each with its topics and its data."""
    code = ""
    for topics, data in logs:
        padded = data + bytes(-len(data) % 32)
        for start in range(0, len(padded), 32):
            code += f"7f{padded[start : start + 32].hex()}60{start:02x}52"
        code += "".join(f"7f{topic.hex()}" for topic in reversed(topics))
        code += f"60{len(data):02x}6000a{len(topics)}"
    return f"0x{code}00"


def says_and_refuses(*logs: tuple[list[bytes], bytes]) -> str:
    """Give code that writes logs when it is called without data, and refuses to answer anything."""
    said = bytes.fromhex(says(*logs)[2:])
    return f"0x3661{5 + len(said):04x}57{said.hex()}5b60006000fd"


def topic(name: str, event: str) -> bytes:
    return contract(name).events[event].topic


def renamed(version: bytes) -> tuple[list[bytes], bytes]:
    """Give a log of a new version; it may be no text."""
    said = encode(["uint8", "bytes"], [0, version])
    return [topic("Token", "UpdatedTokenInformation"), NOTHING, NOTHING, NOTHING], said


ENDLESS = (
    [topic("Token", "UpdatedTokenInformation"), NOTHING, NOTHING, NOTHING],
    # The version begins at the second word, and has 2^255 bytes.
    encode(["uint8", "uint256", "uint256"], [0, 64, 2**255]),
)
UNINDEXED = ([topic("Token", "OwnershipTransferred")], bytes(64))
SHORT = ([topic("ModularCompliance", "ModuleAdded")], b"")
APPROVAL = ([topic("Token", "Approval")], b"")
MOVED = (
    [topic("Token", "Transfer"), *(wallet.rjust(32, b"\0") for wallet in ADDRESSES[:2])],
    (1).to_bytes(32, "big"),
)
DIRTY = ([topic("Token", "Transfer"), b"\xff" * 32, bytes(32)], (1).to_bytes(32, "big"))
REGISTERED = (
    [
        topic("IdentityRegistry", "IdentityRegistered"),
        *(wallet.rjust(32, b"\0") for wallet in ADDRESSES[6:8]),
    ],
    b"",
)
RECOUNTRIED = (
    [
        topic("IdentityRegistry", "CountryUpdated"),
        ADDRESSES[7].rjust(32, b"\0"),
        (40).to_bytes(32, "big"),
    ],
    b"",
)
NONSENSE = {
    "owner not indexed": ("token", [UNINDEXED]),
    "version is no text": ("token", [renamed(b"\xff")]),
    "version has no end": ("token", [ENDLESS]),
    "rules log too little": ("compliance", [SHORT]),
    "allowance of nobody": ("token", [APPROVAL, MOVED]),
}


@pytest.fixture
def other(suite: Suite) -> Suite:
    """A second token; both are projected."""
    found = suite.deploy("second")
    found.register(0, 40)
    suite.mint(0, 5)
    # Whoever has another agent is asked how its transfers came about.
    suite.do("addAgent", hex_of(ADDRESSES[7]))
    suite.index()
    return found


def emit(suite: Suite, address: bytes, logs: list[tuple[list[bytes], bytes]]) -> None:
    """Have a contract write logs, in a block of their own."""
    node = suite.world.node
    node.rpc("anvil_setCode", hex_of(address), says(*logs))
    node.act_as(SOMEBODY, address, b"")


@pytest.mark.parametrize("is_newest", [True, False], ids=["newest block", "block before"])
@pytest.mark.parametrize("what", NONSENSE)
def test_token_that_logs_nonsense__is_refused_and_the_rest_goes_on(
    suite: Suite, other: Suite, what: str, is_newest: bool
) -> None:
    where, logs = NONSENSE[what]
    address = suite.token
    if where == "compliance":
        address = on_chain(suite, "Token", suite.token, "compliance")
    emit(suite, address, logs)
    if not is_newest:
        other.mint(0, 55)

    suite.index()
    read_all(suite)

    other.assert_exact()
    other.mint(0, 7)
    suite.index()
    other.assert_exact()
    with (
        suite.world.database.reading() as session,
        pytest.raises(Conflict, match="its ABI does not have"),
    ):
        captable.get_token(session, suite.token)


@pytest.mark.parametrize("said", [UNINDEXED, DIRTY], ids=["owner not indexed", "no address"])
def test_new_token_that_logs_nonsense__in_one_range_with_its_deployment__is_refused(
    suite: Suite, said: tuple[list[bytes], bytes]
) -> None:
    suite.index()
    new = suite.deploy("second")
    new.register(0, 40)
    emit(suite, new.token, [said])
    suite.mint(0, 5)

    suite.index()
    read_all(suite)

    suite.assert_exact()
    with (
        suite.world.database.reading() as session,
        pytest.raises(Conflict, match="its ABI does not have"),
    ):
        captable.get_token(session, new.token)


def test_text_with_a_nul__is_kept_without_it(suite: Suite, other: Suite) -> None:
    emit(suite, suite.token, [renamed(b"4.1.6\0")])

    suite.index()

    last = changes(suite)[-1]
    assert (last.event, last.said["newVersion"]) == ("UpdatedTokenInformation", "4.1.6\ufffd")
    other.assert_exact()


@pytest.mark.parametrize("refuses", [True, False], ids=["it refuses", "it says nothing"])
def test_registry_that_tells_no_country__is_refused_with_its_token(
    suite: Suite, other: Suite, *, refuses: bool
) -> None:
    code = says_and_refuses(REGISTERED) if refuses else says(REGISTERED)
    suite.world.node.rpc("anvil_setCode", hex_of(suite.registry), code)
    suite.world.node.act_as(SOMEBODY, suite.registry, b"")
    other.register(1, 76)

    suite.index()
    read_all(suite)

    other.assert_exact()
    with (
        suite.world.database.reading() as session,
        pytest.raises(Conflict, match="tells no country"),
    ):
        captable.get_token(session, suite.token)


def test_country_of_a_wallet_that_is_not_registered__changes_nothing(
    suite: Suite, other: Suite
) -> None:
    was = suite.projected()
    emit(suite, suite.registry, [RECOUNTRIED])

    suite.index()

    assert suite.projected() == was
    other.assert_exact()


@pytest.mark.parametrize("said", [("setAddressFrozen", False), ("freezePartialTokens", 0)])
def test_event_that_names_the_zero_address__mints_and_burns_of_all_stay_what_they_are(
    suite: Suite, other: Suite, said: tuple[str, bool | int]
) -> None:
    function, argument = said
    suite.do(function, hex_of(bytes(20)), argument)
    other.mint(0, 7)
    other.do("burn", ADDRESSES[0], 2)
    suite.index()
    suite.mint(0, 3)
    suite.do(function, hex_of(bytes(20)), argument)
    other.do("burn", ADDRESSES[0], 1)
    suite.index()

    for each in (suite, other):
        each.assert_exact()
    with suite.world.database.reading() as session:
        transfer = col(TokenEvent.kind) == EventKind.TRANSFER
        parties = select(TokenEvent.source, TokenEvent.target).where(transfer)
        assert all(None in pair for pair in session.exec(parties).all())
    drained(Reconciler(suite.world.database, suite.world.client))

    suite.world.node.roll_back(2)
    suite.index()

    for each in (suite, other):
        each.assert_exact()


class Garbles(ChainClient):
    """A node that gives a log of one address without its data, as long as it is unwell."""

    address: bytes
    is_well = False

    def logs(self, addresses: Sequence[bytes], first: int, last: int) -> list[Raw]:
        return list(map(self._garbled, super().logs(addresses, first, last)))

    def logs_of_block(self, addresses: Sequence[bytes], block_hash: bytes) -> list[Raw]:
        return list(map(self._garbled, super().logs_of_block(addresses, block_hash)))

    def _garbled(self, written: Raw) -> Raw:
        entry = json.loads(bytes(written))
        is_meant = bytes_of(entry["topics"][0]) == topic("Token", "Unpaused")
        if self.is_well or entry["address"] != hex_of(self.address) or not is_meant:
            return written
        return Raw(json.dumps(entry | {"data": "0x"}).encode())


def test_one_node_garbles_a_log_for_a_moment__is_asked_again_after_a_rest_and_believed(
    suite: Suite, other: Suite
) -> None:
    database = suite.world.database
    client = Garbles(suite.world.node.url, CHAIN_ID)
    client.address = suite.token
    suite.do("unpause")
    behind = CatchUp(database, client)
    catch_up(Indexer(database, client))

    behind.advance()
    assert not behind.advance(), "it rests"
    with database.reading() as session, pytest.raises(Unavailable, match="read again"):
        captable.get_token(session, suite.token)
    other.assert_exact()

    client.is_well = True
    behind._rest_until.clear()
    behind.advance()

    suite.assert_exact()


class RefusesOne(ChainClient):
    """A node that gives no logs of one address."""

    refused: bytes

    def logs(self, addresses: Sequence[bytes], first: int, last: int) -> list[Raw]:
        if self.refused in addresses:
            raise RpcRefused("eth_getLogs", -32000, "history of that contract is gone", None)
        return super().logs(addresses, first, last)


def test_catch_up__one_cannot_be_read__the_others_are_and_it_is_asked_again_later(
    suite: Suite, other: Suite
) -> None:
    database = suite.world.database
    with database.transaction() as session:
        tokens = session.exec(select(Token).order_by(col(Token.token_no))).all()
        for token in tokens:
            catching_up.begin_again(session, token, after=token.block_number - 1)
    client = RefusesOne(suite.world.node.url, CHAIN_ID)
    client.refused = suite.token
    behind = CatchUp(database, client)

    turns = 0
    while behind.advance():
        turns += 1
        assert turns < 20

    other.assert_exact()
    Indexer(database, suite.world.client).advance()
    client.refused = b""
    assert not behind.advance(), "it rests"
    read_all(suite)
    suite.assert_exact()
