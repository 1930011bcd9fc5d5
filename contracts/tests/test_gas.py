"""What our modules add to the gas of a transfer and of a mint.

The figures against the published modules are printed by the benchmark; these are the limits that a
change of a module must keep.
"""

import pytest
from own_people import OwnPeople
from suite import PAKISTAN

# What five modules add, by whether the identities are of our factory: a transfer, a mint.
FIVE_ADD = {False: (68_000, 66_000), True: (72_000, 48_000)}
BATCH = 10


@pytest.fixture(scope="module")
def gas(platform, agent, owner, supply, countries, max_balance, factory, operator):
    """Return a function that gives the gas of a transfer between holders, and of a batched mint."""

    def measure(modules, *, ours):
        suite = platform.suite(agent, modules)
        person = OwnPeople(suite, factory, operator).person if ours else suite.person
        for module, setter, value in (
            (supply, "declareSupply", 1_000),
            (countries, "allowCountries", [PAKISTAN]),
            (max_balance, "setMaxBalance", 1_000),
        ):
            if module in modules:
                suite.set(getattr(module, setter), value)
        a, b = person(), person()
        suite.mint(a, 100)
        suite.mint(b, 100)
        suite.open()
        transfer = suite.send(a, b, 1).gas_used
        people = [person() for _ in range(BATCH)]
        batch = agent.batchMint(suite.token, people, [1] * BATCH, {"from": owner})
        return transfer, batch.gas_used / BATCH

    return measure


@pytest.mark.parametrize("ours", [False, True])
def test_gas__five_modules__within_limits(gas, title, supply, countries, max_balance, lockup, ours):
    bare = gas([], ours=ours)
    with_five = gas([title, supply, countries, max_balance, lockup], ours=ours)
    added = [five - none for five, none in zip(with_five, bare, strict=True)]
    assert all(gas <= most for gas, most in zip(added, FIVE_ADD[ours], strict=True)), added


@pytest.fixture(scope="module")
def suite_with_all(platform, agent, modules, supply, countries, max_balance, holder_cap):
    suite = platform.suite(agent, modules)
    suite.set(supply.declareSupply, 1_000)
    suite.set(countries.allowCountries, [PAKISTAN])
    suite.set(max_balance.setMaxBalance, 1_000)
    suite.set(holder_cap.setHolderCap, 10)
    a, b = suite.person(), suite.person()
    suite.mint(a, 100)
    suite.mint(b, 100)
    suite.open()
    return suite, a, b


def test_gas__transfer_between_holders__modules_write_nothing(suite_with_all, web3):
    """Storage differs only in the two balances of the token."""
    suite, a, b = suite_with_all
    sent = suite.send(a, b, 1)
    tracer = {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}}
    answer = web3.provider.make_request("debug_traceTransaction", [sent.txid, tracer])
    changed = {
        address: len(state["storage"])
        for address, state in answer["result"]["post"].items()
        if "storage" in state
    }
    assert changed == {suite.token.address.lower(): 2}
