"""What agents and owners do to the model's tokens beside moving units.

Source: T-REX 4.1.6, `Token.sol` and `IdentityRegistry.sol`.
"""

from __future__ import annotations

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from tests.chaos.model import logs
from tests.chaos.model.acts import (
    CASE_AGENT,
    ROGUE,
    WALLETS,
    Act,
    Does,
    What,
    kept_in,
    name,
    need,
)
from tests.chaos.model.logs import RawLog, event, word
from tests.chaos.model.state import ZERO, Suite

DOES: dict[What, Does] = {}
does = kept_in(DOES)


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


# -- another suite -----------------------------------------------------------------------------


@does(What.PREPARE)
def _prepare(suite: Suite, act: Act) -> list[RawLog]:
    """Register some of the people elsewhere: nobody hears of it before a token names the place."""
    registry = name(f"registry {act.number} of {suite.token.hex()}")
    people = [wallet for place, wallet in enumerate(WALLETS) if (act.number >> place % 3) & 1]
    suite.elsewhere[registry] = {
        wallet: (name(f"identity {act.number} of {wallet.hex()}"), (act.units + place) % 1000)
        for place, wallet in enumerate(people or WALLETS)
    }
    return [
        event(registry, logs.REGISTERED, wallet, identity)
        for wallet, (identity, _) in suite.elsewhere[registry].items()
    ]


@does(What.REPLACE)
def _replace(suite: Suite, act: Act) -> list[RawLog]:
    """Name a registry that was prepared, or one that the token has had before."""
    need(bool(suite.elsewhere))
    places = sorted(suite.elsewhere)
    registry = places[act.units % len(places)]
    suite.elsewhere[suite.registry] = suite.registered
    suite.registry, suite.registered = registry, dict(suite.elsewhere.pop(registry))
    return [event(suite.token, logs.REGISTRY_SET, registry)]


@does(What.RULES)
def _rules(suite: Suite, act: Act) -> list[RawLog]:
    suite.compliance = name(f"compliance {act.number}")
    return [event(suite.token, logs.COMPLIANCE_SET, suite.compliance)]


@does(What.RENAME)
def _rename(suite: Suite, act: Act) -> list[RawLog]:
    """Log what an upgraded token logs: its version is new, its texts are there as hashes."""
    said = (
        keccak(text=f"name {act.number}"),
        keccak(text=f"symbol {act.number}"),
        word(CASE_AGENT),
    )
    data = encode(["uint8", "string"], [0, f"4.1.{act.number % 10}"])
    return [RawLog(suite.token, (logs.INFORMATION, *said), data)]


@does(What.GARBLE)
def _garble(suite: Suite, act: Act) -> list[RawLog]:
    """Log, of the token or of its registry, what no contract of its kind does.

    A token cannot in the block that deploys it: only code that is known stands there so far.
    """
    need(not suite.is_new)
    one, two = word(act.one), word(act.two)
    shapes = (
        # ERC-721 has a third topic, and no data.
        RawLog(suite.token, (logs.TRANSFER, one, two, word(act.number))),
        RawLog(suite.token, (logs.TRANSFER, one, two), word(1)[1:]),
        RawLog(suite.token, (logs.TRANSFER, one, two)),
        RawLog(suite.token, (logs.TRANSFER, b"\xff" * logs.WORD, two), word(1)),
        RawLog(suite.token, (logs.ADDRESS_FROZEN, one)),
        RawLog(suite.token, (logs.TOKENS_FROZEN, one), word(1) + word(2)),
        RawLog(suite.registry, (logs.REGISTERED, one)),
        RawLog(suite.registry, (logs.COUNTRY, one, b"\xff" * logs.WORD)),
    )
    return [shapes[act.units % len(shapes)]]
