"""Calls of the CaseAgent, the only agent of every token (ADR 0022)."""

from __future__ import annotations

from sqlmodel import Session

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address
from chain.node.client import bytes_of
from chain.operations.effect import Call, Chain

AGENT = "CaseAgent"


def agent_call(session: Session, chain: Chain, function: str, *arguments: object) -> Call:
    """Give the call of one of the agent's functions."""
    return Call(
        to=bytes_of(platform_address(session, chain.chain_id, AGENT)),
        data=contract(AGENT).functions[function].encode(*arguments),
    )
