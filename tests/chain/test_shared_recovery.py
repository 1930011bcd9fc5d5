"""A lost wallet with two tokens: each with its storage of identities, and both sharing one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlmodel import col, select

from chain.contracts.abi import contract
from chain.contracts.platform import ZERO_ADDRESS
from chain.node.client import bytes_of, hex_of
from chain.operations.deploy_suite import DeploySuite
from registry.captable.transfers import TransferNature
from registry.case.models import CaseKind, CaseState
from registry.investor import service as investors
from registry.investor.models import WalletState
from registry.investor.service import KYC_TOPIC
from registry.kernel.actor import Actor, Role
from registry.operation.models import Operation, OperationKind, OperationState
from registry.party.models import Party
from registry.tokenization import service as tokenizations
from registry.wrapper import service as wrappers
from tests import factories, sales
from tests.chain.bench import NEW_WALLET, Bench
from tests.chain.market import FIRST, HELD, ISSUER, buyer_of
from tests.chain.test_alarm import resume
from tests.chain.world import GAS_OF_SUITE, PLATFORM, Hand, address_of, ask, key_of

pytestmark = pytest.mark.chain

LOST, NEW = address_of(key_of(FIRST)), address_of(key_of(NEW_WALLET))
UNITS = 70
"""Of the second token, in the wallet that is lost."""


def second_token(bench: Bench, *, shares_storage: bool) -> UUID:
    """Deploy another token by hand, and mint to the wallet that will be lost."""
    token_id = _approve_another(bench)
    suite = _deploy(bench, token_id, shares_storage=shares_storage)
    world = bench.market.world
    hand = Hand(world.node, PLATFORM)
    if not shares_storage:
        desk = world.place("RegistrationDesk")
        registry = suite["identity_registry"]
        hand.call("RegistrationDesk", desk, "register", registry, [hex_of(LOST)], [586])
    hand.call("CaseAgent", world.place("CaseAgent"), "mint", suite["token"], LOST, UNITS)
    resume(bench)
    bench.index()
    return token_id


def _approve_another(bench: Bench) -> UUID:
    market = bench.market
    with market.world.database.transaction() as session:
        at = market.desk(session)
        wrapper = wrappers.find_wrapper(session, market.deal.asset_id)
        assert wrapper is not None
        vehicle = session.get_one(Party, wrapper.party_id)
        asset = factories.registered(at, factories.open_apartment(at, vehicle))
        sales.name_wrapper(at, asset, vehicle)
        holder = investors.get_investor(session, market.wallet(ISSUER).investor_id)
        issuer = Actor(holder.subject, frozenset({Role.ISSUER}))
        token_id = sales.approved(at, sales.Wrapped(asset, buyer_of(session, issuer))).id
        tokenizations.deploy_token(session, factories.COMPLIANCE, token_id)
        return token_id


def _deploy(bench: Bench, token_id: UUID, *, shares_storage: bool) -> dict[str, str]:
    world = bench.market.world
    first = bench.market.tokenization().suite
    assert first is not None
    storage = first["identity_registry_storage"] if shares_storage else ZERO_ADDRESS
    agent, desk, issuer, module = (
        hex_of(world.place(name))
        for name in ("CaseAgent", "RegistrationDesk", "ClaimIssuer", "TitleStatusModule")
    )
    owner = hex_of(world.chain.platform.address)
    places: tuple[Any, ...] = (storage, ZERO_ADDRESS, [desk], [agent], [module], [])
    deploy = contract("TREXFactory").functions["deployTREXSuite"]
    data = deploy.encode(
        str(token_id), (owner, "Second", "SEC", 0, *places), ([KYC_TOPIC], [issuer], [[KYC_TOPIC]])
    )
    sent = Hand(world.node, PLATFORM).send(world.place("TREXFactory"), data, gas=GAS_OF_SUITE)
    receipt = world.node.mined(sent)
    with world.database.transaction() as session:
        operation = session.exec(
            select(Operation).where(
                col(Operation.kind) == OperationKind.DEPLOY_SUITE,
                col(Operation.subject_id) == str(token_id),
            )
        ).one()
        operation.state = OperationState.FINAL
        operation.result = DeploySuite().read_result(operation, receipt)
        session.add(operation)
        tokenizations.confirm_deployment(session, token_id, operation.result)
        return dict(operation.result)


@pytest.mark.parametrize("shares_storage", [True, False], ids=["one storage", "two storages"])
def test_recovery__of_two_tokens__moves_both_and_retires_the_wallet(
    bench: Bench, shares_storage: bool
) -> None:
    other = second_token(bench, shares_storage=shares_storage)

    case = bench.done(CaseKind.RECOVERY)

    assert case.state == CaseState.EXECUTED, bench.problems(case.id)
    assert len(bench.acts_on_chain()) == 2
    for token, units in ((bench.market.suite().token, HELD[FIRST]), (_token(bench, other), UNITS)):
        client = bench.market.world.client
        assert ask(client, "Token", token, "balanceOf", NEW) == units
        assert ask(client, "Token", token, "balanceOf", LOST) == 0
        last = bench.transfers(token)[-1]
        assert (last.nature, last.case_id, last.units) == (
            TransferNature.RECOVERED,
            case.id,
            units,
        )
    assert bench.market.wallet(FIRST).state == WalletState.RETIRED
    bench.watch()
    # Only what the test itself minted past the register.
    assert {item.detail for item in bench.breaks()} == {
        f"A MINT of {UNITS} matches no instruction."
    }
    assert _may_receive(bench, other), "the new wallet is registered for the second token as well"


def _token(bench: Bench, token_id: UUID) -> bytes:
    with bench.market.world.database.reading() as session:
        address = tokenizations.get_tokenization(session, token_id).token_address
        assert address is not None
        return address


def _may_receive(bench: Bench, token_id: UUID) -> bool:
    client = bench.market.world.client
    registry = ask(client, "Token", _token(bench, token_id), "identityRegistry")
    verified = ask(client, "IdentityRegistry", bytes_of(registry), "isVerified", NEW)
    return bool(verified)
