"""What people and agents do to the model's tokens: each act is one transaction.

An act says what is wanted, not what comes of it: on another branch, in another order, the same
transaction may move something else, or revert. Source: `erc3643-facts` sections 6 and 7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from eth_utils.crypto import keccak

from tests.chaos.model import logs
from tests.chaos.model.logs import RawLog, event, transfer, word
from tests.chaos.model.state import GREATEST, ZERO, Suite


def name(text: str) -> bytes:
    """Give an address of its own to a name."""
    return bytes(keccak(text=text)[12:])


FACTORY, CASE_AGENT, STRANGER = name("factory"), name("case agent"), name("stranger")
OPERATOR, ROGUE = name("operator"), name("rogue")
WALLETS = tuple(name(f"wallet {number}") for number in range(10))
TOKENS = tuple(name(f"token {number}") for number in range(3))
FORCED_TRANSFER, BURN, RECOVERY = 0, 1, 6
"""Of `CaseAgent.Act`."""


class What(StrEnum):
    DEPLOY = "deploy"
    REGISTER = "register"
    UNREGISTER = "unregister"
    COUNTRY = "country"
    IDENTITY = "identity"
    MINT = "mint"
    MINT_ALL = "mint up to 2^256-1"
    BURN = "burn"
    TRANSFER = "transfer"
    BATCH = "batch"
    SPEND = "spend an allowance"
    FORCE = "force"
    FORCE_ROGUE = "force without a case"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    STOP = "stop a wallet"
    START = "let a wallet go"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    RECOVER = "recover"
    ADMIT = "admit another agent"
    DISMISS = "dismiss it"
    PREPARE = "register people in a registry of nobody's"
    REPLACE = "give a token another registry"
    RULES = "give a token another compliance"
    RENAME = "name a token and its version anew"
    GARBLE = "log what the token's events do not have"
    NOISE = "somebody else's logs"


@dataclass(frozen=True, slots=True)
class Act:
    """One transaction that somebody signed.

    Parameters
    ----------
    number
        Different for each, so that each has its own hash.
    one, two
        The wallets that it is about.
    """

    number: int
    what: What
    token: bytes
    one: bytes = ZERO
    two: bytes = ZERO
    units: int = 0

    @property
    def hash(self) -> bytes:
        return bytes(keccak(text=f"tx {self.number}"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an act; a reverted one has no logs."""

    sender: bytes
    to: bytes
    data: bytes
    logs: tuple[RawLog, ...] = ()


class Reverts(Exception):
    """The contract refuses."""


def need(condition: bool) -> None:
    if not condition:
        raise Reverts


Does = Callable[[Suite, Act], list[RawLog]]
Keeps = Callable[[What], Callable[[Does], Does]]
DOES: dict[What, Does] = {}
"""Of registries and of units; what owners and agents do besides is in `control`."""


def kept_in(known: dict[What, Does]) -> Keeps:
    """Give the decorator of what is done, which keeps it where it is looked for."""

    def does(what: What) -> Callable[[Does], Does]:
        def keep(function: Does) -> Does:
            known[what] = function
            return function

        return keep

    return does


does = kept_in(DOES)


# -- the identity registry ---------------------------------------------------------------------


@does(What.REGISTER)
def _register(suite: Suite, act: Act) -> list[RawLog]:
    need(act.one not in suite.registered)
    identity = name(f"identity {act.number} of {act.one.hex()}")
    suite.registered[act.one] = identity, act.units % 1000
    return [event(suite.registry, logs.REGISTERED, act.one, identity)]


@does(What.UNREGISTER)
def _unregister(suite: Suite, act: Act) -> list[RawLog]:
    need(act.one in suite.registered and not suite.holds(act.one))
    identity, _ = suite.registered.pop(act.one)
    return [event(suite.registry, logs.REMOVED, act.one, identity)]


@does(What.COUNTRY)
def _country(suite: Suite, act: Act) -> list[RawLog]:
    need(act.one in suite.registered)
    suite.registered[act.one] = suite.registered[act.one][0], act.units % 1000
    return [event(suite.registry, logs.COUNTRY, act.one, act.units % 1000)]


@does(What.IDENTITY)
def _identity(suite: Suite, act: Act) -> list[RawLog]:
    need(act.one in suite.registered)
    old, country = suite.registered[act.one]
    new = name(f"identity {act.number} of {act.one.hex()}")
    suite.registered[act.one] = new, country
    return [event(suite.registry, logs.UPDATED, old, new)]


# -- units -------------------------------------------------------------------------------------


def _move(suite: Suite, source: bytes, target: bytes, units: int) -> RawLog:
    need(suite.holds(source) >= units)
    suite.give(source, -units)
    suite.give(target, units)
    return transfer(suite.token, source, target, units)


def _unlock_missing(suite: Suite, wallet: bytes, units: int) -> list[RawLog]:
    """Unfreeze what an agent takes beyond the free part."""
    need(suite.holds(wallet) >= units)
    missing = units - suite.free(wallet)
    if missing <= 0:
        return []
    suite.lock(wallet, -missing)
    return [event(suite.token, logs.TOKENS_UNFROZEN, wallet, data=word(missing))]


def _case_act(suite: Suite, act: Act, code: int, units: int) -> RawLog:
    target = ZERO if code == BURN else act.two
    said: tuple[bytes | int, ...] = (act.number, act.one, target, units, OPERATOR)
    return event(
        CASE_AGENT,
        logs.CASE_ACT,
        keccak(text=f"case {act.number}")[16:],
        suite.token,
        code,
        data=b"".join(map(word, said)),
    )


@does(What.MINT)
def _mint(suite: Suite, act: Act) -> list[RawLog]:
    need(act.one in suite.registered and suite.supply + act.units <= GREATEST)
    suite.supply += act.units
    suite.give(act.one, act.units)
    return [transfer(suite.token, ZERO, act.one, act.units)]


@does(What.MINT_ALL)
def _mint_all(suite: Suite, act: Act) -> list[RawLog]:
    need(act.one in suite.registered)
    units = GREATEST - suite.supply
    suite.supply = GREATEST
    suite.give(act.one, units)
    return [transfer(suite.token, ZERO, act.one, units)]


@does(What.BURN)
def _burn(suite: Suite, act: Act) -> list[RawLog]:
    units = min(act.units, suite.holds(act.one))
    said = _unlock_missing(suite, act.one, units)
    suite.supply -= units
    suite.give(act.one, -units)
    return [
        *said,
        transfer(suite.token, act.one, ZERO, units),
        _case_act(suite, act, BURN, units),
    ]


def _may_move(suite: Suite, source: bytes, target: bytes, units: int) -> None:
    need(not suite.paused and target in suite.registered)
    need(not {source, target} & suite.stopped and suite.free(source) >= units)


@does(What.TRANSFER)
def _transfer(suite: Suite, act: Act) -> list[RawLog]:
    _may_move(suite, act.one, act.two, act.units)
    return [_move(suite, act.one, act.two, act.units)]


@does(What.BATCH)
def _batch(suite: Suite, act: Act) -> list[RawLog]:
    said = []
    for turn in range(1 + act.number % 5):
        target = WALLETS[(WALLETS.index(act.two) + turn) % len(WALLETS)]
        _may_move(suite, act.one, target, act.units)
        said.append(_move(suite, act.one, target, act.units))
    return said


@does(What.SPEND)
def _spend(suite: Suite, act: Act) -> list[RawLog]:
    _may_move(suite, act.one, act.two, act.units)
    spent = event(suite.token, logs.APPROVAL, act.one, STRANGER, data=word(act.number))
    return [spent, _move(suite, act.one, act.two, act.units)]


@does(What.FORCE)
def _force(suite: Suite, act: Act) -> list[RawLog]:
    need(act.two in suite.registered)
    units = min(act.units, suite.holds(act.one))
    return [
        *_unlock_missing(suite, act.one, units),
        _move(suite, act.one, act.two, units),
        _case_act(suite, act, FORCED_TRANSFER, units),
    ]


@does(What.FORCE_ROGUE)
def _force_rogue(suite: Suite, act: Act) -> list[RawLog]:
    need(ROGUE in suite.agents and act.two in suite.registered)
    units = min(act.units, suite.holds(act.one))
    return [*_unlock_missing(suite, act.one, units), _move(suite, act.one, act.two, units)]


@does(What.RECOVER)
def _recover(suite: Suite, act: Act) -> list[RawLog]:
    need(act.one in suite.registered and act.two not in suite.registered)
    units, frozen = suite.holds(act.one), suite.locked(act.one)
    need(units > 0)
    token, registry = suite.token, suite.registry
    identity, country = suite.registered.pop(act.one)
    suite.registered[act.two] = identity, country
    said = [event(registry, logs.REGISTERED, act.two, identity)]
    said += _unlock_missing(suite, act.one, units)
    said.append(_move(suite, act.one, act.two, units))
    if frozen:
        suite.lock(act.two, frozen)
        said.append(event(token, logs.TOKENS_FROZEN, act.two, data=word(frozen)))
    if act.one in suite.stopped:
        suite.stopped.add(act.two)
        said.append(event(token, logs.ADDRESS_FROZEN, act.two, 1, CASE_AGENT))
    said.append(event(registry, logs.REMOVED, act.one, identity))
    said.append(event(token, logs.RECOVERY, act.one, act.two, identity))
    return [*said, _case_act(suite, act, RECOVERY, units)]
