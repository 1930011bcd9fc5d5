"""Claims as the database tells them, held against the chain's own answers at every block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from chain.contracts.platform import plan_platform
from chain.errors import RpcRefused
from chain.node.client import Block, BlockId, ChainClient, hex_of
from chain.operations.add_claim import CLAIM_FIELDS, claims_typed_data
from chain.sync.contract_catch_up import ContractCatchUp
from chain.sync.contract_events import CONTRACTS
from chain.sync.indexer import Indexer
from registry.captable.branches import known_block_at
from registry.captable.claims import ClaimState, claims_at, list_claim_changes
from registry.captable.contract_models import ContractEvent, FollowedContract
from registry.captable.models import ChainBlock
from registry.captable.service import block_at
from registry.investor.service import KYC_TOPIC
from registry.kernel.clock import now
from tests.chain.nodes import CHAIN_ID
from tests.chain.stage import Stage
from tests.chain.suite import catch_up, count
from tests.chain.world import PLATFORM, Hand, World, address_of, ask, key_of

pytestmark = pytest.mark.chain

ONE, TWO = (address_of(key_of(number)) for number in (40, 41))
"""Any contract may be an identity: the store believes its issuer."""
YEAR = 365 * 86_400
TURNS = 20
EVIDENCE = bytes(range(32))


@dataclass(frozen=True)
class Claims:
    """The claim store and the issuer, called by their owner."""

    world: World
    owner: Hand

    def issue(self, *identities: bytes, lasts: int = YEAR) -> None:
        issued_at = self.world.client.head().timestamp
        issuer = hex_of(self.world.place("ClaimIssuer"))
        claims = [
            {
                "identity": hex_of(identity),
                "topic": KYC_TOPIC,
                "issuedAt": issued_at,
                "expiresAt": issued_at + lasts,
                "evidenceHash": EVIDENCE,
            }
            for identity in identities
        ]
        typed = claims_typed_data(CHAIN_ID, issuer, claims)
        signature = self.world.chain.claim_signer.sign_typed_data(typed)
        values = [tuple(claim[name] for name in CLAIM_FIELDS) for claim in claims]
        self.call("ClaimIssuer", "issue", values, signature)

    def revoke(self, identity: bytes) -> None:
        self.call("ClaimIssuer", "revoke", identity, KYC_TOPIC)

    def call(self, name: str, function: str, *arguments: Any) -> None:
        self.owner.call(name, self.world.place(name), function, *arguments)

    def index(self) -> None:
        catch_up(Indexer(self.world.database, self.world.client))
        behind = ContractCatchUp(self.world.database, self.world.client)
        for _ in range(TURNS):
            if not behind.advance():
                return
        raise AssertionError("the contracts are not caught up")

    def is_valid(self, identity: bytes, block: int) -> bool:
        """Ask the contracts, as a token would in a transfer."""
        client, issuer = self.world.client, self.world.place("ClaimIssuer")
        store = self.world.place("ClaimStore")
        claim_id = ask(client, "ClaimStore", store, "claimIdOf", issuer, KYC_TOPIC)
        claim = ask(client, "ClaimStore", store, "getClaim", identity, claim_id, block=block)
        topic, _, named, signature, said, _ = claim
        if named != hex_of(issuer):
            return False
        asked = (identity, topic, signature, said)
        return bool(ask(client, "ClaimIssuer", issuer, "isClaimValid", *asked, block=block))

    def states(self, number: int) -> dict[bytes, ClaimState]:
        with self.world.database.reading() as session:
            block = block_at(session, CHAIN_ID, number)
            found = claims_at(session, CHAIN_ID, [ONE, TWO], block)
        assert all(len(claims) == 1 for claims in found.values())
        return {identity: claims[0].state for identity, claims in found.items()}

    def assert_exact(self, first: int) -> None:
        """Hold every block that is stored from `first` on against the contracts' own answers."""
        with self.world.database.reading() as session:
            stored = [row for row in session.exec(select(ChainBlock.number)) if row >= first]
        assert stored
        for number in stored:
            states = self.states(number)
            for identity in (ONE, TWO):
                ours = states.get(identity) is ClaimState.VALID
                assert ours == self.is_valid(identity, number), (number, states)


@pytest.fixture(scope="module")
def young_stage(empty_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Our contracts stand, on a node that still has their blocks."""

    def build(world: World) -> None:
        with world.database.transaction() as session:
            plan_platform(session, CHAIN_ID)
        world.settle()
        assert not Indexer(world.database, world.client).advance()

    return empty_stage.after(tmp_path_factory.mktemp("claims"), build, history=True)


@pytest.fixture
def claims(young_stage: Stage, tmp_path: Path) -> Iterator[Claims]:
    with young_stage.open(tmp_path) as world:
        yield Claims(world, Hand(world.node, PLATFORM))


def live(claims: Claims) -> None:
    """Issue, revoke, issue again, dismiss, admit, and change keys: each in a block of its own."""
    issuer = claims.world.place("ClaimIssuer")
    key = claims.world.chain.claim_signer.address
    claims.issue(ONE, TWO)
    claims.revoke(ONE)
    claims.world.node.rpc("evm_increaseTime", 60)
    claims.world.node.mine()
    claims.issue(ONE)
    claims.call("ClaimStore", "dismiss", issuer, KYC_TOPIC)
    claims.call("ClaimStore", "admit", issuer, KYC_TOPIC)
    claims.call("ClaimIssuer", "removeSigningKey", key)
    claims.call("ClaimIssuer", "addSigningKey", key)
    claims.issue(TWO, lasts=3_600)
    claims.world.node.rpc("evm_increaseTime", 7_200)
    claims.world.node.mine()


def test_claims__written_before_anybody_looked__are_caught_up_and_exact(claims: Claims) -> None:
    first = claims.world.client.head().number
    live(claims)

    claims.index()

    claims.assert_exact(first)
    assert count(claims.world.database, FollowedContract) == len(CONTRACTS)
    behind = col(FollowedContract.caught_up_to).is_not(None)
    assert count(claims.world.database, FollowedContract, behind) == 0


def test_claims__told_block_by_block__are_the_same(claims: Claims) -> None:
    claims.index()
    first = claims.world.client.head().number
    seen = []
    issuer, key = claims.world.place("ClaimIssuer"), claims.world.chain.claim_signer.address
    steps: list[Callable[[], None]] = [
        lambda: claims.issue(ONE, TWO),
        lambda: claims.revoke(ONE),
        lambda: claims.call("ClaimStore", "dismiss", issuer, KYC_TOPIC),
        lambda: claims.call("ClaimStore", "admit", issuer, KYC_TOPIC),
        lambda: claims.call("ClaimIssuer", "removeSigningKey", key),
    ]
    for step in steps:
        step()
        claims.index()
        seen.append(claims.states(claims.world.client.head().number)[TWO])

    valid = ClaimState.VALID
    assert seen == [valid, valid, ClaimState.DISMISSED, valid, ClaimState.KEY_REMOVED]
    assert claims.states(claims.world.client.head().number)[ONE] is ClaimState.REVOKED
    claims.assert_exact(first)


def test_claims__reorg__are_taken_back_and_kept_as_what_was_known(claims: Claims) -> None:
    claims.index()
    claims.issue(ONE)
    claims.index()
    stands = claims.world.client.head()
    claims.revoke(ONE)
    claims.issue(TWO)
    claims.index()
    moment = now()
    assert claims.states(claims.world.client.head().number) == {
        ONE: ClaimState.REVOKED,
        TWO: ClaimState.VALID,
    }

    claims.world.node.roll_back(2)
    claims.world.node.drop_pool()
    claims.world.node.mine(3)
    claims.index()

    head = claims.world.client.head().number
    assert claims.states(head) == {ONE: ClaimState.VALID}
    claims.assert_exact(stands.number)
    with claims.world.database.reading() as session:
        known = known_block_at(session, CHAIN_ID, None, moment)
        assert known.is_orphaned
        found = claims_at(session, CHAIN_ID, [ONE, TWO], known)
        assert {who: told[0].state for who, told in found.items()} == {
            ONE: ClaimState.REVOKED,
            TWO: ClaimState.VALID,
        }
        changes = list_claim_changes(session, CHAIN_ID, [ONE], known, after=None, limit=10)
        assert [each.event for each in changes] == ["ClaimIssued", "ClaimRevoked"]
        assert known.lost is not None
        number = changes[-1].block_number
        assert {number: changes[-1].mined_at} == known.lost.times([number])


def test_claims__reorg_while_a_contract_is_caught_up__begins_again_at_the_ancestor(
    claims: Claims,
) -> None:
    catch_up(Indexer(claims.world.database, claims.world.client))
    claims.issue(ONE)
    catch_up(Indexer(claims.world.database, claims.world.client))
    ContractCatchUp(claims.world.database, claims.world.client).advance()
    claims.world.node.roll_back(1)
    claims.world.node.drop_pool()
    claims.issue(TWO)
    claims.world.node.mine()

    claims.index()

    assert claims.states(claims.world.client.head().number) == {TWO: ClaimState.VALID}


def test_contract_events__settlement_and_anchor__are_kept_as_said(claims: Claims) -> None:
    claims.index()
    log_id, root = b"\x07" * 32, b"\x09" * 32
    claims.call("RegistryAnchor", "anchor", log_id, 12, root)
    claims.call("Settlement", "cancel", 5)

    claims.index()

    with claims.world.database.reading() as session:
        told = {row.event: row for row in session.exec(select(ContractEvent))}
    assert told["RootAnchored"].said == {
        "log": hex_of(log_id),
        "size": "12",
        "root": hex_of(root),
        "oldSize": "0",
    }
    assert told["NonceCancelled"].subject == claims.owner.address
    assert told["NonceCancelled"].said["nonce"] == "5"


class Pruned(ChainClient):
    """A node that has forgotten its first blocks, as EIP-4444 lets it."""

    first = 0

    def block(self, block: BlockId) -> Block | None:
        if isinstance(block, int) and block < self.first:
            raise RpcRefused("eth_getBlockByNumber", 4444, "pruned history unavailable", None)
        return super().block(block)


def test_catch_up__node_without_the_first_blocks__goes_on_from_the_cursor_and_says_so(
    claims: Claims, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Pruned(claims.world.node.url, CHAIN_ID)
    client.first = claims.world.client.head().number
    claims.issue(ONE)
    pruned = Claims(claims.world.through(client), claims.owner)

    pruned.index()
    claims.issue(TWO)
    pruned.index()

    assert "contract_history_missing" in capsys.readouterr().out
    # That its kind was admitted is not known; but it could not have been written otherwise.
    assert claims.states(claims.world.client.head().number) == {TWO: ClaimState.VALID}
