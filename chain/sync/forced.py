"""Telling forced transfers from voluntary ones, which T-REX 4.1.6 logs alike.

A token moves a holder's units without an agent in two ways only: the holder calls `transfer` or
`batchTransfer`, or somebody spends an allowance by `transferFrom`, which logs an Approval of the
holder right before the Transfer. Everything else is an agent's doing. Where that cannot be told
(a holder that is a contract, called by another), the transfer is called forced: it is looked at
once too often, never once too seldom.

The CaseAgent, which is the only agent of a token that nobody meddled with, logs every act of its
own. So a transfer is looked into only while the token has another agent, which it cannot get
without an AgentAdded (ADR 0035).

Source: `erc3643-facts` section 6; T-REX 4.1.6, `Token.sol`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chain.node.client import ChainClient, Log, Sent
from chain.sync.decode import is_allowance_spent, is_own_transfer
from chain.sync.watched import Watched
from registry.captable.events import ProjectedEvent
from registry.captable.models import EventKind

FORCED = {"forced": True}

Place = tuple[int, int]
"""Number of a block, index of a log in it."""


def mark_forced(
    client: ChainClient,
    watched: Watched,
    events: Sequence[ProjectedEvent],
    logs: Sequence[Log],
) -> Sequence[ProjectedEvent]:
    """Mark every transfer between two wallets that its holder has not made.

    Only where another agent than ours could have made it, and no allowance explains it, the node
    is asked for the transaction.

    Parameters
    ----------
    watched
        Which agents the tokens have before the range.
    logs
        All logs of the range but its Transfers.
    """
    cases = {
        (event.tx_hash, event.token, event.source, event.target)
        for event in events
        if event.kind == EventKind.CASE_ACT
    }
    suspected = _under_other_agents(watched, events)
    if not cases and not suspected:
        return events
    before = {(log.block_number, log.log_index): log for log in logs}
    unclear = []
    forced = set()
    for event in events:
        if event.kind != EventKind.TRANSFER or event.source is None or event.target is None:
            continue
        if (event.tx_hash, event.token, event.source, event.target) in cases:
            forced.add(_place(event))
        elif _place(event) in suspected:
            approval = before.get((event.block_number, event.log_index - 1))
            if approval is None or not is_allowance_spent(approval, event):
                unclear.append(event)
    sent = _transactions(client, unclear)
    for event in unclear:
        asked = sent[event.tx_hash]
        if not is_own_transfer(asked.sender, asked.to, asked.data, event):
            forced.add(_place(event))
    return [
        msgspec.structs.replace(event, extra=FORCED)
        if _place(event) in forced and event.kind == EventKind.TRANSFER
        else event
        for event in events
    ]


def _place(event: ProjectedEvent) -> Place:
    return event.block_number, event.log_index


def _under_other_agents(watched: Watched, events: Sequence[ProjectedEvent]) -> set[Place]:
    """Name the transfers that were made while their token had an agent besides ours."""
    if not watched.other_agents and not any(
        event.kind == EventKind.AGENT_ADDED and event.target != watched.agent for event in events
    ):
        return set()
    agents = {token: set(others) for token, others in watched.other_agents.items()}
    found = set()
    for event in events:
        if event.kind == EventKind.TRANSFER:
            if agents.get(event.token):
                found.add(_place(event))
        elif event.kind == EventKind.AGENT_ADDED and event.target != watched.agent:
            assert event.target is not None, "an AgentAdded names its agent"
            agents.setdefault(event.token, set()).add(event.target)
        elif event.kind == EventKind.AGENT_REMOVED and event.token in agents:
            agents[event.token].discard(event.target)
    return found


def _transactions(client: ChainClient, events: Sequence[ProjectedEvent]) -> dict[bytes, Sent]:
    hashes = list(dict.fromkeys(event.tx_hash for event in events))
    return dict(zip(hashes, client.transactions(hashes), strict=True))
