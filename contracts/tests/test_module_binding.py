"""What all compliance modules have in common."""

import json

import pytest
from brownie import ZERO_ADDRESS, reverts
from eth_utils import function_signature_to_4byte_selector
from published import TREX, deploy_published
from suite import error

NAMES = [
    "TitleStatusModule",
    "SupplyCapModule",
    "CountryAllowModule",
    "MaxBalanceModule",
    "HolderCapModule",
    "LockupModule",
    "TransferWindowModule",
]
LINKED = ["CountryAllowModule", "MaxBalanceModule", "HolderCapModule"]


@pytest.fixture(scope="module")
def suite(platform, agent):
    return platform.suite(agent)


@pytest.fixture(scope="module")
def named(modules):
    return dict(zip(NAMES, modules, strict=True))


def test_interface__each_module__has_every_published_function(modules):
    path = TREX / "compliance/modular/modules/IModule.sol/IModule.json"
    published = json.loads(path.read_text())["abi"]
    for entry in (entry for entry in published if entry["type"] == "function"):
        signature = f"{entry['name']}({','.join(item['type'] for item in entry['inputs'])})"
        selector = f"0x{function_signature_to_4byte_selector(signature).hex()}"
        for module in modules:
            assert module.signatures[entry["name"]] == selector
            ours = getattr(module, entry["name"]).abi
            assert [item["type"] for item in ours["outputs"]] == [
                item["type"] for item in entry["outputs"]
            ]


@pytest.mark.parametrize("name", NAMES)
def test_module__name_and_kind__as_published_compliance_asks(named, suite, name):
    module = named[name]
    assert module.name() == name
    assert module.isPlugAndPlay()
    assert module.canComplianceBind(suite.compliance)


@pytest.mark.parametrize("name", NAMES)
def test_add_and_remove_module__by_compliance__bound_and_announced(named, suite, name):
    module = named[name]
    assert not module.isComplianceBound(suite.compliance)
    bound = suite.add(module)
    assert bound.events["ComplianceBound"]["compliance"] == suite.compliance
    assert module.isComplianceBound(suite.compliance)
    unbound = suite.remove(module)
    assert unbound.events["ComplianceUnbound"]["compliance"] == suite.compliance
    assert not module.isComplianceBound(suite.compliance)


@pytest.mark.parametrize("name", NAMES)
def test_bind_and_unbind__by_another__refused(named, suite, stranger, name):
    module = named[name]
    refused = error("ModuleCallerNotCompliance", stranger, suite.compliance)
    with reverts(refused):
        module.bindCompliance(suite.compliance, {"from": stranger})
    suite.add(module)
    with reverts(refused):
        module.unbindCompliance(suite.compliance, {"from": stranger})
    assert module.isComplianceBound(suite.compliance)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LINKED])
def test_bind_and_unbind__twice__refused(named, accounts, name):
    """Any account can be a compliance to a module: it only ever answers for itself."""
    module, compliance = named[name], accounts[4]
    module.bindCompliance(compliance, {"from": compliance})
    with reverts(error("ModuleComplianceAlreadyBound", compliance)):
        module.bindCompliance(compliance, {"from": compliance})
    module.unbindCompliance(compliance, {"from": compliance})
    with reverts(error("ModuleComplianceNotBound", compliance)):
        module.unbindCompliance(compliance, {"from": compliance})


@pytest.mark.parametrize("name", LINKED)
def test_bind__compliance_without_token__refused(named, owner, name):
    compliance = deploy_published("ModularCompliance", owner)
    compliance.init({"from": owner})
    assert not named[name].canComplianceBind(compliance)
    with reverts(error("SuiteTokenMissing", compliance)):
        compliance.addModule(named[name], {"from": owner})


@pytest.mark.parametrize(
    ("name", "setter", "arguments"),
    [
        ("SupplyCapModule", "declareSupply", [1]),
        ("CountryAllowModule", "allowCountries", [[586]]),
        ("CountryAllowModule", "disallowCountries", [[586]]),
        ("MaxBalanceModule", "setMaxBalance", [1]),
        ("HolderCapModule", "setHolderCap", [1]),
        ("LockupModule", "setLockPeriod", [1]),
        ("TransferWindowModule", "setDates", [1, 2]),
        ("TransferWindowModule", "setHours", [1, 2, 1, 0]),
    ],
)
def test_setter__by_anybody_but_a_bound_compliance__refused(
    named, stranger, name, setter, arguments
):
    with reverts(error("ModuleComplianceNotBound", stranger)):
        getattr(named[name], setter)(*arguments, {"from": stranger})


@pytest.mark.parametrize("name", ["TitleStatusModule", "MaxBalanceModule", "HolderCapModule"])
def test_actions__by_anybody_but_a_bound_compliance__refused(named, stranger, accounts, name):
    module, (a, b) = named[name], accounts[5:7]
    with reverts(error("ModuleComplianceNotBound", stranger)):
        module.moduleTransferAction(a, b, 1, {"from": stranger})
    with reverts(error("ModuleComplianceNotBound", stranger)):
        module.moduleMintAction(b, 1, {"from": stranger})
    with reverts(error("ModuleComplianceNotBound", stranger)):
        module.moduleBurnAction(a, 1, {"from": stranger})


def test_lockup_mint_action__by_anybody_but_a_bound_compliance__refused(lockup, stranger, accounts):
    with reverts(error("ModuleComplianceNotBound", stranger)):
        lockup.moduleMintAction(accounts[5], 1, {"from": stranger})


@pytest.mark.parametrize(
    "name", ["SupplyCapModule", "CountryAllowModule", "LockupModule", "TransferWindowModule"]
)
def test_actions__by_a_stranger__change_nothing_of_a_token(named, suite, stranger, name):
    """These modules have nothing to do in these actions, or only with the caller's own tokens."""
    module = named[name]
    suite.add(module)
    calls = [
        (module.moduleTransferAction, (suite.owner, stranger, 1)),
        (module.moduleBurnAction, (suite.owner, 1)),
    ]
    if name != "LockupModule":
        calls.append((module.moduleMintAction, (stranger, 1)))
    for action, arguments in calls:
        sent = action(*arguments, {"from": stranger})
        assert len(sent.events) == 0
    assert module.isComplianceBound(suite.compliance)


# Addresses that are kept


@pytest.mark.parametrize("name", LINKED)
def test_relink__storage_changed__read_anew(named, suite, owner, stranger, name):
    module = named[name]
    assert not module.isLinked(suite.compliance), "never bound"
    said = suite.add(module).events["SuiteLinked"]
    assert (said["token"], said["identityStorage"]) == (suite.token, suite.storage)
    assert module.isLinked(suite.compliance)
    storage = deploy_published("IdentityRegistryStorage", owner)
    suite.registry.setIdentityRegistryStorage(storage, {"from": owner})
    assert not module.isLinked(suite.compliance)
    said = module.relink(suite.compliance, {"from": stranger}).events["SuiteLinked"]
    assert (said["token"], said["identityStorage"]) == (suite.token, storage)
    assert module.isLinked(suite.compliance)


@pytest.mark.parametrize("name", LINKED)
def test_relink__token_changed__refused_until_bound_again(
    named, suite, platform, agent, owner, name
):
    module, other = named[name], platform.suite(agent)
    suite.add(module)
    suite.compliance.bindToken(other.token, {"from": owner})
    assert not module.isLinked(suite.compliance)
    with reverts(error("SuiteTokenChanged", suite.compliance, suite.token, other.token)):
        module.relink(suite.compliance, {"from": owner})
    suite.remove(module)
    with reverts(error("ModuleComplianceNotBound", suite.compliance)):
        module.relink(suite.compliance, {"from": owner})
    suite.add(module)
    assert module.isLinked(suite.compliance)
    suite.compliance.unbindToken(other.token, {"from": owner})
    assert not module.isLinked(suite.compliance)
    with reverts(error("SuiteTokenChanged", suite.compliance, other.token, ZERO_ADDRESS)):
        module.relink(suite.compliance, {"from": owner})
