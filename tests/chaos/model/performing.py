"""Carrying an act out: who calls what with which data, and what the contracts log to it."""

from __future__ import annotations

from eth_utils.crypto import keccak

from tests.chaos.model import acts, control, logs
from tests.chaos.model.acts import (
    CASE_AGENT,
    FACTORY,
    OPERATOR,
    ROGUE,
    STRANGER,
    Act,
    Outcome,
    Reverts,
    What,
    name,
)
from tests.chaos.model.logs import RawLog, event, transfer, word
from tests.chaos.model.state import State, Suite

_DOES = acts.DOES | control.DOES


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
