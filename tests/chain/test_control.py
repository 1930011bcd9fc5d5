"""Owners, agents, modules and registries of a token, as the chain changes them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chain.contracts.abi import contract
from chain.node.client import bytes_of, hex_of
from registry.captable import service as captable
from registry.captable.branches import known_block_at
from registry.captable.control import ControlChange, list_control_changes
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import ADDRESSES, Suite
from tests.chain.world import ask

pytestmark = pytest.mark.chain

MODULE = "HolderCapModule"
CAP = 25


def changes(suite: Suite) -> Sequence[ControlChange]:
    with suite.world.database.reading() as session:
        token = captable.get_token(session, suite.token)
        block = known_block_at(session, CHAIN_ID, None, None)
        return list_control_changes(session, token, block, after=None, limit=500)


def on_chain(suite: Suite, name: str, address: bytes, function: str) -> bytes:
    return bytes_of(ask(suite.world.client, name, address, function))


def test_control__of_a_new_suite__is_what_the_contracts_say(suite: Suite) -> None:
    suite.index()
    compliance = on_chain(suite, "Token", suite.token, "compliance")
    places = {
        "Token": suite.token,
        "IdentityRegistry": suite.registry,
        "ModularCompliance": compliance,
    }
    told = changes(suite)

    for name, address in places.items():
        owners = [
            row.said["newOwner"]
            for row in told
            if (row.contract, row.event) == (name, "OwnershipTransferred")
        ]
        assert bytes_of(owners[-1]) == on_chain(suite, name, address, "owner")
    bound = [row.said["compliance"] for row in told if row.event == "ComplianceAdded"]
    assert bytes_of(bound[-1]) == compliance
    registries = [row for row in told if row.event == "IdentityRegistryAdded"]
    assert bytes_of(registries[-1].said["identityRegistry"]) == suite.registry


def test_control__changed_and_taken_back__follows_the_chain(suite: Suite) -> None:
    compliance = on_chain(suite, "Token", suite.token, "compliance")
    module, stranger = suite.world.place(MODULE), ADDRESSES[7]
    suite.index()
    before = changes(suite)
    suite.agent.call("IdentityRegistry", suite.registry, "addAgent", stranger)
    suite.agent.call("ModularCompliance", compliance, "addModule", module)
    suite.agent.call("ModularCompliance", compliance, "removeModule", module)
    suite.agent.call("Token", suite.token, "addAgent", stranger)
    suite.agent.call("ModularCompliance", compliance, "transferOwnership", stranger)
    suite.index()

    new = changes(suite)[len(before) :]
    assert [(row.contract, row.event) for row in new] == [
        ("IdentityRegistry", "AgentAdded"),
        ("ModularCompliance", "ModuleAdded"),
        ("ModularCompliance", "ModuleRemoved"),
        ("Token", "AgentAdded"),
        ("ModularCompliance", "OwnershipTransferred"),
    ]
    assert [dict(row.said) for row in new] == [
        {"agent": hex_of(stranger)},
        {"module": hex_of(module)},
        {"module": hex_of(module)},
        {"agent": hex_of(stranger)},
        {"previousOwner": hex_of(suite.agent.address), "newOwner": hex_of(stranger)},
    ]

    suite.world.node.roll_back(2)
    suite.mint(0, 1)
    suite.index()
    assert changes(suite) == [*before, *new[:3]]
    suite.assert_exact()


def test_control__setting_of_a_module__has_its_function_and_arguments(suite: Suite) -> None:
    compliance = on_chain(suite, "Token", suite.token, "compliance")
    module = suite.world.place(MODULE)
    suite.agent.call("ModularCompliance", compliance, "addModule", module)
    setting = contract(MODULE).functions["setHolderCap"].encode(CAP)
    suite.agent.call("ModularCompliance", compliance, "callModuleFunction", setting, module)
    suite.index()

    last = changes(suite)[-1]
    assert last.event == "ModuleInteraction"
    assert dict(last.said) == {
        "target": hex_of(module),
        "selector": hex_of(setting[:4]),
        "function": "setHolderCap",
        "arguments": str(CAP),
    }


def test_identity__of_one_of_two_wallets_is_changed__the_other_keeps_its_own(
    suite: Suite,
) -> None:
    shared, other = suite.identity(0), suite.identity(6)
    register = (ADDRESSES[5], shared, 586)
    suite.agent.call("IdentityRegistry", suite.registry, "registerIdentity", *register)
    suite.index()
    suite.assert_exact()
    suite.agent.call("IdentityRegistry", suite.registry, "updateIdentity", ADDRESSES[5], other)
    suite.index()

    suite.assert_exact()
    registered = suite.projected().registered
    assert registered[ADDRESSES[0]][0] == shared
    assert registered[ADDRESSES[5]][0] == other
    suite.world.node.roll_back(1)
    suite.mint(0, 1)
    suite.index()
    suite.assert_exact()
