"""From a closed sale to a token that is live, on the chain and in the registry."""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address
from chain.node.client import bytes_of, hex_of
from chain.operations.create_identity import identity_salt
from chain.proving.reconciler import Reconciler
from registry.investor.service import KYC_TOPIC
from registry.kernel.actor import THE_SYSTEM, Role
from registry.offering import service as offerings
from registry.offering.models import Order, OrderState
from registry.operation.models import OperationKind, OperationState
from registry.reopening import service as reopening
from registry.tokenization import service as tokenizations
from registry.tokenization.models import TokenizationState
from tests import sales
from tests.chain.market import HELD, Market, propose
from tests.chain.nodes import CHAIN_ID
from tests.chain.world import World, address_of, ask, key_of
from tests.factories import CHECKER, COMPLIANCE

pytestmark = pytest.mark.chain


def test_issuance__every_step_carried_out__token_is_live_and_held(market: Market) -> None:
    world, suite = market.world, market.suite()
    world.settle()

    suite.index()
    suite.assert_exact()
    assert suite.projected().holders == {
        address_of(key_of(person)): (units, 0) for person, units in HELD.items()
    }
    assert Reconciler(world.database, world.client).reconcile_due() == 1
    with world.database.transaction() as session:
        offerings.go_live(session, COMPLIANCE, market.deal.tokenization_id)
    world.settle()

    suite.index()
    seen = suite.on_chain()
    assert (seen.supply, seen.paused) == (sales.FRACTIONS, False)
    assert suite.projected() == seen
    assert market.tokenization().state == TokenizationState.LIVE
    assert {operation.state for operation in world.operations()} == {OperationState.FINAL}
    with world.database.reading() as session:
        states = {session.get_one(Order, order).state for order in market.deal.orders.values()}
    assert states == {OrderState.SETTLED}
    assert len(world.node.transactions()) == len(world.operations())


def test_issuance__holders__are_verified_and_may_transfer_once_live(minted: Market) -> None:
    world, suite = minted.world, minted.suite()
    for person in HELD:
        address = hex_of(address_of(key_of(person)))
        assert ask(world.client, "IdentityRegistry", suite.registry, "isVerified", address) is True
    stranger = hex_of(address_of(key_of(7)))
    assert ask(world.client, "IdentityRegistry", suite.registry, "isVerified", stranger) is False

    minted.open()
    world.node.fund(address_of(key_of(1)))
    suite.person(1).call("Token", suite.token, "transfer", address_of(key_of(2)), 400)
    assert suite.on_chain().holders[address_of(key_of(2))] == (550, 0)


def test_issuance__kyc_claim__is_accepted_by_our_claim_issuer(market: Market) -> None:
    client = market.world.client
    with market.world.database.reading() as session:
        issuer = platform_address(session, CHAIN_ID, "ClaimIssuer")
    for person in HELD:
        wallet = market.wallet(person)
        assert wallet.identity is not None
        claim_id = keccak(encode(["address", "uint256"], [issuer, KYC_TOPIC]))
        topic, scheme, signer, signature, data, uri = ask(
            client, "HolderIdentity", wallet.identity, "getClaim", claim_id
        )
        assert (topic, scheme, signer, uri) == (KYC_TOPIC, 3, issuer, "")
        is_valid = contract("ClaimIssuer").functions["isClaimValid"]
        asked = is_valid.encode(hex_of(wallet.identity), topic, signature, data)
        assert is_valid.decode(client.call(bytes_of(issuer), asked)) is True
        forged = is_valid.encode(hex_of(wallet.identity), topic, signature, bytes(32) + data[32:])
        assert is_valid.decode(client.call(bytes_of(issuer), forged)) is False


def test_issuance__identity__is_the_factorys_and_has_the_wallet_as_its_key(market: Market) -> None:
    client = market.world.client
    factory = market.world.place("IdentityFactory")
    platform = keccak(encode(["address"], [hex_of(market.world.chain.platform.address)]))
    for person in HELD:
        wallet = market.wallet(person)
        assert wallet.identity is not None
        at = hex_of(wallet.identity)
        assert ask(client, "IdentityFactory", factory, "linkOf", wallet.address) == (at, False)
        salt = identity_salt(wallet.investor_id)
        assert ask(client, "IdentityFactory", factory, "identityOf", salt) == at
        holder = keccak(encode(["address"], [hex_of(wallet.address)]))
        for key, purpose, has in ((holder, 1, True), (holder, 3, False), (platform, 1, False)):
            found = ask(client, "HolderIdentity", wallet.identity, "keyHasPurpose", key, purpose)
            assert found is has


def test_issuance__identity_registry__takes_holders_from_the_desk_alone(market: Market) -> None:
    client, registry = market.world.client, market.suite().registry
    desk = market.world.place("RegistrationDesk")
    assert ask(client, "IdentityRegistry", registry, "isAgent", hex_of(desk)) is True
    ours = market.world.chain.platform.address
    assert ask(client, "IdentityRegistry", registry, "isAgent", hex_of(ours)) is False


def test_issuance__suite__is_what_the_registry_says(market: Market) -> None:
    tokenization, suite = market.tokenization(), market.suite()
    assert tokenization.token_address == suite.token
    assert tokenization.suite is not None
    assert bytes_of(tokenization.suite["identity_registry"]) == suite.registry
    ours = hex_of(market.world.chain.platform.address)
    facts = {
        "name": tokenization.name,
        "symbol": tokenization.symbol,
        "decimals": 0,
        "owner": ours,
        "paused": True,
        "totalSupply": 0,
        "compliance": tokenization.suite["compliance"],
    }
    for function, value in facts.items():
        assert ask(market.world.client, "Token", suite.token, function) == value
    agents = {ours: False, hex_of(market.world.place("CaseAgent")): True}
    for agent, is_agent in agents.items():
        assert ask(market.world.client, "Token", suite.token, "isAgent", agent) is is_agent


def test_issuance__mint__waits_for_the_registration_of_its_holder(market: Market) -> None:
    world = market.world
    world.turn()
    states = {operation.kind: operation.state for operation in world.operations()}
    assert states[OperationKind.REGISTER_IDENTITY] == OperationState.BROADCAST
    assert states[OperationKind.MINT] == OperationState.PLANNED
    world.node.mine()
    world.turn()
    states = {operation.kind: operation.state for operation in world.operations()}
    assert states[OperationKind.REGISTER_IDENTITY] == OperationState.MINED
    assert states[OperationKind.MINT] == OperationState.BROADCAST


def test_pause__and_its_end__stop_and_open_the_token_on_chain(minted: Market) -> None:
    world, suite, token = minted.world, minted.suite(), minted.deal.tokenization_id
    suite.index()
    assert Reconciler(world.database, world.client).reconcile_due() == 1
    for pause in (False, True, False, True):
        with world.database.transaction() as session:
            if minted.tokenization().state == TokenizationState.MINTING:
                offerings.go_live(session, COMPLIANCE, token)
            elif pause:
                tokenizations.pause_token(session, THE_SYSTEM, token, reason="Looked into")
            else:
                for role, who in (
                    (Role.COMPLIANCE, COMPLIANCE),
                    (Role.REGISTRAR_CHECKER, CHECKER),
                ):
                    reopening.agree_to_unpause(session, who, token, role=role, reason="Well")
        world.settle()
        assert suite.on_chain().paused is pause
        wanted = TokenizationState.PAUSED if pause else TokenizationState.LIVE
        assert minted.tokenization().state == wanted


def test_cancelled__deployed_token__can_never_be_opened_or_minted(
    platform: World, tmp_path: Path
) -> None:
    proposal = propose(platform, tmp_path)
    proposal.deploy(platform)
    platform.settle()
    with platform.database.transaction() as session:
        token = tokenizations.cancel_tokenization(
            session, COMPLIANCE, proposal.tokenization_id, reason="No longer wanted"
        )
        address = token.token_address
    platform.settle()

    assert address is not None
    agent = platform.place("CaseAgent")
    assert ask(platform.client, "Token", address, "isAgent", hex_of(agent)) is False
    assert ask(platform.client, "Token", address, "paused") is True
    assert {row.state for row in platform.operations()} == {OperationState.FINAL}
