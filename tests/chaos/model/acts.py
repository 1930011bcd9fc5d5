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
from tests.chaos.model.state import GREATEST, ZERO, State, Suite


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
_DOES: dict[What, Does] = {}


def does(what: What) -> Callable[[Does], Does]:
    def keep(function: Does) -> Does:
        _DOES[what] = function
        return function

    return keep


def perform(state: State, act: Act) -> Outcome:
    """Carry an act out; where it reverts, the state is as before."""
    sender, to, data = _called(act)
    if act.what == What.DEPLOY:
        return Outcome(sender, to, data, tuple(_deploy(state, act)))
    before = state.get(act.token)
    if act.what == What.NOISE:
        return Outcome(sender, to, data, tuple(_noise(act)))
    if before is None:
        return Outcome(sender, to, data)
    after = before.copy()
    try:
        said = _DOES[act.what](after, act)
    except Reverts:
        return Outcome(sender, to, data)
    state[act.token] = after
    return Outcome(sender, to, data, tuple(said))


def _called(act: Act) -> tuple[bytes, bytes, bytes]:
    """Give who calls what with which data: it tells a holder's own transfer from a forced one."""
    signatures = {
        What.TRANSFER: "transfer(address,uint256)",
        What.BATCH: "batchTransfer(address[],uint256[])",
        What.SPEND: "transferFrom(address,address,uint256)",
        What.FORCE_ROGUE: "forcedTransfer(address,address,uint256)",
    }
    data = logs.topic(signatures.get(act.what, "executeCase(bytes32)"))[:4] + word(act.number)
    if act.what in {What.TRANSFER, What.BATCH}:
        return act.one, act.token, data
    if act.what == What.SPEND:
        return STRANGER, act.token, data
    if act.what == What.FORCE_ROGUE:
        return ROGUE, act.token, data
    return OPERATOR, FACTORY if act.what == What.DEPLOY else CASE_AGENT, data


def _deploy(state: State, act: Act) -> list[RawLog]:
    if act.token in state:
        return []
    parts = [name(f"{part} of {act.token.hex()}") for part in ("ir", "irs", "tir", "ctr", "mc")]
    suite = Suite(act.token, parts[0], parts[1], parts[4], agents={CASE_AGENT})
    state[act.token] = suite
    salt = keccak(text=f"salt {act.token.hex()}")
    return [
        event(suite.registry, logs.AGENT_ADDED, act.token),
        event(act.token, logs.AGENT_ADDED, CASE_AGENT),
        RawLog(
            FACTORY,
            (logs.DEPLOYED, word(act.token), salt),
            b"".join(map(word, parts)),
        ),
    ]


def _noise(act: Act) -> list[RawLog]:
    """Log beside ours what only another contract may: never asked for, but in the filter."""
    stranger = name(f"stranger {act.number % 4}")
    return [
        transfer(stranger, act.one, act.two, act.units),
        RawLog(stranger, (logs.TRANSFER, word(act.one), word(act.two), word(act.units))),
        RawLog(stranger, (logs.TRANSFER,), b"\x01"),
        RawLog(stranger, (), act.number.to_bytes(8, "big")),
    ][: 1 + act.units % 4]


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


# -- freezes, pauses, agents -------------------------------------------------------------------


@does(What.FREEZE)
def _freeze(suite: Suite, act: Act) -> list[RawLog]:
    need(suite.free(act.one) >= act.units)
    suite.lock(act.one, act.units)
    return [event(suite.token, logs.TOKENS_FROZEN, act.one, data=word(act.units))]


@does(What.UNFREEZE)
def _unfreeze(suite: Suite, act: Act) -> list[RawLog]:
    units = min(act.units, suite.locked(act.one))
    suite.lock(act.one, -units)
    return [event(suite.token, logs.TOKENS_UNFROZEN, act.one, data=word(units))]


@does(What.STOP)
@does(What.START)
def _stop_or_start(suite: Suite, act: Act) -> list[RawLog]:
    # T-REX takes the zero address as well.
    wallets = (act.one,) if act.units else (act.one, ZERO)
    is_stopped = act.what == What.STOP
    (suite.stopped.update if is_stopped else suite.stopped.difference_update)(wallets)
    said = [(logs.ADDRESS_FROZEN, wallet, int(is_stopped), CASE_AGENT) for wallet in wallets]
    return [event(suite.token, *each) for each in said]


@does(What.PAUSE)
def _pause(suite: Suite, act: Act) -> list[RawLog]:
    need(not suite.paused)
    suite.paused = True
    return [RawLog(suite.token, (logs.PAUSED,), word(CASE_AGENT))]


@does(What.UNPAUSE)
def _unpause(suite: Suite, act: Act) -> list[RawLog]:
    need(suite.paused)
    suite.paused = False
    return [RawLog(suite.token, (logs.UNPAUSED,), word(CASE_AGENT))]


@does(What.ADMIT)
def _admit(suite: Suite, act: Act) -> list[RawLog]:
    suite.agents.add(ROGUE)
    return [event(suite.token, logs.AGENT_ADDED, ROGUE)]


@does(What.DISMISS)
def _dismiss(suite: Suite, act: Act) -> list[RawLog]:
    need(ROGUE in suite.agents)
    suite.agents.discard(ROGUE)
    return [event(suite.token, logs.AGENT_REMOVED, ROGUE)]
