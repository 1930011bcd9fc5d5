"""Any sequence of acts on a token with our modules, against a model of what must be possible."""

from random import Random

import pytest
from brownie import chain, reverts
from claims import DAY
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from own_people import OwnPeople
from readings import read_together
from suite import BRITAIN, CASE, CLEAR, HALT, NO_MINT, NOTICE, PAKISTAN, ROOT_A, ROOT_B, new_wallet

DECLARED, MAX_BALANCE, HOLDER_CAP = 1_000, 250, 3
LOCK_SECONDS = DAY


class Model:
    """What must be possible, told in Python."""

    def __init__(self, owners, verified, countries):
        self.owner_of, self.verified, self.country = owners, verified, countries
        self.balance = dict.fromkeys(owners, 0)
        self.lots = {wallet: [] for wallet in owners}
        self.frozen_units = dict.fromkeys(owners, 0)
        self.frozen = set()
        self.status, self.paused, self.opened = CLEAR, True, False

    def supply(self):
        return sum(self.balance.values())

    def held(self, person):
        return sum(
            self.balance[wallet] for wallet in self.balance if self.owner_of[wallet] == person
        )

    def holders(self):
        return {self.owner_of[wallet] for wallet, units in self.balance.items() if units}

    def locked(self, wallet, now):
        return sum(units for units, release in self.lots[wallet] if release > now)

    def rules_allow(self, source, to, units, now):
        """Whether every module lets it pass."""
        if self.status == HALT or (source is None and self.status == NO_MINT):
            return False
        if source is None and self.supply() + units > DECLARED:
            return False
        if self.country[to] != PAKISTAN:
            return False
        person = self.owner_of[to]
        own = source is not None and self.owner_of[source] == person
        if not own and self.held(person) + units > MAX_BALANCE:
            return False
        if source is not None and self.balance[source] - self.locked(source, now) < units:
            return False
        return self.holder_may_come(source, person, units)

    def holder_may_come(self, source, person, units):
        holders = self.holders()
        if person in holders or len(holders) < HOLDER_CAP:
            return True
        leaves = source is not None and self.held(self.owner_of[source]) == units
        return leaves and self.balance[source] == units and len(holders) == HOLDER_CAP

    def may_send(self, source, to, units, now):
        return (
            not self.paused
            and not {source, to} & self.frozen
            and 0 < units <= self.balance[source] - self.frozen_units[source]
            and to in self.verified
            and self.rules_allow(source, to, units, now)
        )

    def may_mint(self, to, units, now):
        return (
            not (self.paused and self.opened)
            and to not in self.frozen
            and units > 0
            and to in self.verified
            and self.rules_allow(None, to, units, now)
        )

    def may_force(self, source, to, units):
        return 0 < units <= self.balance[source] and to in self.verified and self.status != HALT

    def may_burn(self, wallet, units):
        return 0 < units <= self.balance[wallet] and self.status != HALT

    def leave(self, wallet, units, now):
        """Take units away, and return the lots that had to go with them."""
        self.balance[wallet] -= units
        self.frozen_units[wallet] = min(self.frozen_units[wallet], self.balance[wallet])
        lots = sorted((lot for lot in self.lots[wallet] if lot[1] > now), key=lambda lot: lot[1])
        excess, taken = sum(lot[0] for lot in lots) - self.balance[wallet], []
        while excess > 0:
            part = min(excess, lots[0][0])
            taken.append((part, lots[0][1]))
            lots[0] = (lots[0][0] - part, lots[0][1])
            excess -= part
            if not lots[0][0]:
                lots.pop(0)
        self.lots[wallet] = lots
        return taken

    def move(self, source, to, units, now):
        lots = self.leave(source, units, now) if source != to else []
        if source != to:
            self.balance[to] += units
        self.lots[to] += lots


@pytest.fixture(scope="module")
def world(
    platform, agent, modules, supply, countries, max_balance, holder_cap, lockup, factory, operator
):
    """A token with all modules, and wallets of every kind."""
    suite = platform.suite(agent, modules)
    suite.set(supply.declareSupply, DECLARED)
    suite.set(countries.allowCountries, [PAKISTAN])
    suite.set(max_balance.setMaxBalance, MAX_BALANCE)
    suite.set(holder_cap.setHolderCap, HOLDER_CAP)
    suite.set(lockup.setLockPeriod, LOCK_SECONDS)
    own = OwnPeople(suite, factory, operator)
    people = [own.person(), suite.person(), own.person(), suite.person()]
    second, abroad = own.second_wallet(people[0]), suite.person(BRITAIN)
    another = suite.second_wallet(people[1])
    unverified = suite.person()
    identity = suite.registry.identity(unverified)
    suite.platform.issuer.revoke(identity, 1_001, {"from": suite.platform.key})
    nobody = new_wallet()
    wallets = [*people, second, abroad, unverified, nobody, another]
    owners = {wallet: wallet for wallet in wallets} | {second: people[0], another: people[1]}
    return {
        "suite": suite,
        "wallets": wallets,
        "owners": owners,
        "identities": {wallet: suite.registry.identity(wallet) for wallet in (*people, abroad)},
        "verified": {*people, second, another, abroad},
        "countries": dict.fromkeys(wallets, PAKISTAN) | {abroad: BRITAIN, nobody: 0},
    }


# Four people, the first and third with identities of our factory; then: a second wallet of the
# first, one abroad, one unverified, one unknown, a second wallet of the second.
WALLETS = [0, 1, 2, 3, 4, 8, 0, 1, 4, 5, 6, 7]
STATUSES = [CLEAR, CLEAR, CLEAR, NOTICE, NO_MINT, HALT]
ACTS = {
    "transfer": 6,
    "transfer_all": 2,
    "forced_transfer": 3,
    "burn": 2,
    "mint": 3,
    "freeze_units": 2,
    "freeze_wallet": 2,
    "pause": 1,
    "set_status": 3,
    "pass_days": 2,
}


class TokenMachine(RuleBasedStateMachine):
    """Not brownie's own kind of machine: that of 1.22 is compiled, and refuses subclasses."""

    parts = None

    def __init__(self):
        super().__init__()
        chain.revert()  # to where the test began
        vars(self).update(self.parts)
        self.suite, self.wallets = self.world["suite"], self.world["wallets"]
        self.model = Model(self.world["owners"], self.world["verified"], self.world["countries"])
        self.step = self.number = 0
        self.by_owner = {"from": self.suite.owner}

    @initialize(days=st.sampled_from([2, 0]), opened=st.sampled_from([True, True, False]))
    def issue(self, days, opened):
        """Most sequences begin with a token that is open, and held by two, one with two wallets."""
        for wallet in (0, 1, 4):
            self.try_mint(self.wallets[wallet], 100)
        if opened:
            self.try_pause(paused=False)
        self.let_pass(days)

    @rule(seed=st.binary(min_size=8, max_size=8))
    def act(self, seed):
        """One rule, with a seed: hypothesis itself leaves most kinds of act out of an example."""
        self.step += 1
        self.random = Random(f"{seed.hex()} {self.step}")
        getattr(self, self.random.choices(list(ACTS), ACTS.values())[0])()

    def any_wallet(self):
        return self.wallets[self.random.choice(WALLETS)]

    def any_units(self):
        return self.random.choice([0, 1, 5, 10, 20, 50, 100, 500])

    def attempt(self, allowed, act):
        """Do it; whether it goes through must be as the model says."""
        if allowed:
            act()
        else:
            with reverts():
                act()
        return allowed

    def now(self):
        return chain[-1].timestamp

    def case(self):
        self.number += 1
        return (CASE, self.number, self.suite.token)

    def mint(self):
        self.try_mint(self.any_wallet(), self.any_units())

    def try_mint(self, to, units):
        allowed = self.model.may_mint(to, units, self.now())
        if self.attempt(allowed, lambda: self.suite.mint(to, units)):
            self.model.balance[to] += units
            self.model.lots[to].append((units, self.now() + LOCK_SECONDS))

    def transfer(self):
        self.try_send(self.any_wallet(), self.any_wallet(), self.any_units())

    def transfer_all(self):
        source = self.any_wallet()
        self.try_send(source, self.any_wallet(), self.model.balance[source])

    def try_send(self, source, to, units):
        allowed = self.model.may_send(source, to, units, self.now())
        if self.attempt(allowed, lambda: self.suite.send(source, to, units)):
            self.model.move(source, to, units, self.now())

    def forced_transfer(self):
        source, to, units = self.any_wallet(), self.any_wallet(), self.any_units()
        act, allowed = self.agent.forcedTransfer, self.model.may_force(source, to, units)
        call = (*self.case(), source, to, units, self.by_owner)
        if self.attempt(allowed, lambda: act(*call)):
            left = self.model.balance[source] - units
            self.model.frozen_units[source] = min(self.model.frozen_units[source], left)
            self.model.move(source, to, units, self.now())

    def burn(self):
        wallet, units = self.any_wallet(), self.any_units()
        call = (*self.case(), wallet, units, self.by_owner)
        if self.attempt(self.model.may_burn(wallet, units), lambda: self.agent.burn(*call)):
            self.model.leave(wallet, units, self.now())

    def freeze_units(self):
        wallet, units = self.any_wallet(), self.any_units()
        allowed = self.model.frozen_units[wallet] + units <= self.model.balance[wallet]
        call = (*self.case(), wallet, units, self.by_owner)
        if self.attempt(allowed, lambda: self.agent.freezeUnits(*call)):
            self.model.frozen_units[wallet] += units

    def freeze_wallet(self):
        wallet, frozen = self.any_wallet(), self.random.random() < 0.3
        self.agent.setWalletFrozen(*self.case(), wallet, frozen, self.by_owner)
        (self.model.frozen.add if frozen else self.model.frozen.discard)(wallet)

    def pause(self):
        self.try_pause(paused=self.random.random() < 0.3)

    def try_pause(self, *, paused):
        act, allowed = (
            self.agent.pause if paused else self.agent.unpause,
            self.model.paused != paused,
        )
        if self.attempt(allowed, lambda: act(self.suite.token, self.by_owner)):
            self.model.paused = paused
            self.model.opened = self.model.opened or not paused

    def set_status(self):
        status, (first, second) = self.random.choice(STATUSES), self.keys
        compliance = self.suite.compliance
        allowed = self.model.status != HALT or status == HALT
        self.attempt(
            allowed, lambda: self.title.setStatus(compliance, status, ROOT_A, {"from": first})
        )
        if not allowed:
            _bound, _status, nonce, _at, root = self.title.titleOf(compliance)
            lift = (compliance, root, nonce, status, ROOT_B)
            self.title.proposeLift(compliance, root, status, ROOT_B, {"from": first})
            with reverts():
                self.title.confirmLift(*lift, {"from": first})
            self.title.confirmLift(*lift, {"from": second})
        self.model.status = status

    def pass_days(self):
        self.let_pass(self.random.choice([1, 2]))

    def let_pass(self, days):
        chain.sleep(days * DAY)
        chain.mine()

    @invariant()
    def chain_is_as_the_model(self):
        """Read everything in one request: there are twenty readings after each act."""
        said = [
            *self.balances_and_supply(),
            *self.what_modules_know(),
            *self.locked_units(),
        ]
        answers = read_together([reading for reading, _ in said])
        for (reading, wanted), found in zip(said, answers, strict=True):
            assert found == wanted, reading

    def balances_and_supply(self):
        token, model = self.suite.token, self.model
        for wallet, units in model.balance.items():
            assert not units or wallet in model.verified
            yield (token.balanceOf, wallet), units
        for wallet, units in model.frozen_units.items():
            if units:
                yield (token.getFrozenTokens, wallet), units
        assert model.supply() <= DECLARED
        yield (token.totalSupply,), model.supply()

    def what_modules_know(self):
        compliance, model = self.suite.compliance, self.model
        yield (self.holder_cap.holderCount, compliance), len(model.holders())
        for person, identity in self.world["identities"].items():
            yield (self.max_balance.heldBy, compliance, identity), model.held(person)

    def locked_units(self):
        now = self.now()
        for wallet in (wallet for wallet, lots in self.model.lots.items() if lots):
            locked = self.model.locked(wallet, now)
            assert locked <= self.model.balance[wallet]
            yield (self.lockup.lockedUnits, self.suite.compliance, wallet), locked


def test_token__any_sequence_of_acts__as_the_model_says(
    world, agent, title, status_key, second_status_key, lockup, max_balance, holder_cap
):
    parts = {
        "world": world,
        "agent": agent,
        "title": title,
        "keys": (status_key, second_status_key),
        "lockup": lockup,
        "max_balance": max_balance,
        "holder_cap": holder_cap,
    }
    machine = type("Machine", (TokenMachine,), {"parts": parts})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=15, stateful_step_count=20, deadline=None)
    )
