"""Telling forced transfers from voluntary ones, which T-REX 4.1.6 logs alike.

A token moves a holder's units without an agent in two ways only: the holder calls `transfer` or
`batchTransfer`, or somebody spends an allowance by `transferFrom`, which logs an Approval of the
holder right before the Transfer. Everything else is an agent's doing. Where that cannot be told
(a holder that is a contract, called by another; a transaction that no node has kept), the transfer
is called forced: it is looked at once too often, never once too seldom.

The CaseAgent, which is the only agent of a token that nobody meddled with, logs every act of its
own. So a transfer is looked into only while the token has another agent, which it cannot get
without an AgentAdded (ADR 0035).

Source: `erc3643-facts` section 6; T-REX 4.1.6, `Token.sol`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chain.node.client import ChainClient, Log
from chain.sync.asked import transactions_of
from chain.sync.decode import is_allowance_spent, is_own_transfer
from chain.sync.watched import Watched
from registry.captable.columns import TX_BYTES, Transfers
from registry.captable.events import ProjectedEvent, event_of
from registry.captable.models import EventKind

_OF_AGENTS = frozenset({EventKind.AGENT_ADDED, EventKind.AGENT_REMOVED})
_TX_HASH = np.dtype((np.void, TX_BYTES))

Place = tuple[int, int]
"""Number of a block, index of a log in it."""


def mark_forced(
    client: ChainClient,
    watched: Watched,
    transfers: Transfers,
    events: Sequence[ProjectedEvent],
    logs: Sequence[Log],
) -> Transfers:
    """Mark every transfer between two wallets that its holder has not made.

    Only where another agent than ours could have made it, and no allowance explains it, the node
    is asked for the transaction.

    Parameters
    ----------
    watched
        Which agents the tokens have before the range.
    events
        What tokens said besides.
    logs
        All logs of the range but its Transfers.
    """
    forced = _of_cases(transfers, events)
    suspected = np.flatnonzero(_under_other_agents(watched, transfers, events))
    unclear = {}
    before = {(log.block_number, log.log_index): log for log in logs}
    for place in sorted(set(suspected.tolist()) - forced):
        transfer = event_of(transfers, place)
        approval = before.get((transfer.block_number, transfer.log_index - 1))
        if approval is None or not is_allowance_spent(approval, transfer):
            unclear[place] = transfer
    sent = transactions_of(client, unclear.values())
    for place, transfer in unclear.items():
        asked = sent.get(transfer.tx_hash)
        if asked is None or not is_own_transfer(asked.sender, asked.to, asked.data, transfer):
            forced.add(place)
    return transfers.with_forced(forced) if forced else transfers


def _of_cases(transfers: Transfers, events: Sequence[ProjectedEvent]) -> set[int]:
    """Give the places of the transfers that the CaseAgent logs as its acts."""
    acts = {
        (event.tx_hash, event.token, event.source, event.target)
        for event in events
        if event.kind == EventKind.CASE_ACT
    }
    if not acts:
        return set()
    hashes = np.array([act[0] for act in acts], dtype=_TX_HASH)
    beside = np.isin(np.ascontiguousarray(transfers.tx_hash).view(_TX_HASH)[:, 0], hashes)
    found = set()
    for place in np.flatnonzero(beside & transfers.between_wallets()).tolist():
        moved = event_of(transfers, place)
        if (moved.tx_hash, moved.token, moved.source, moved.target) in acts:
            found.add(place)
    return found


def _under_other_agents(
    watched: Watched, transfers: Transfers, events: Sequence[ProjectedEvent]
) -> NDArray[np.bool_]:
    """Tell which transfers were made while their token had an agent besides ours."""
    suspected = np.zeros(len(transfers), np.bool_)
    turns = [
        (event, event.target)
        for event in events
        if event.kind in _OF_AGENTS and event.target not in {None, watched.agent}
    ]
    agents = {token: set(others) for token, others in watched.other_agents.items()}
    changed = {event.token for event, _ in turns}
    for number, token in enumerate(transfers.tokens):
        others = agents.get(token, set())
        if not others and token not in changed:
            continue
        own = np.flatnonzero(transfers.token == number)
        begun = 0
        for event, agent in turns:
            if event.token != token or agent is None:
                continue
            end = _first_after(transfers, own, (event.block_number, event.log_index))
            suspected[own[begun:end]] = bool(others)
            begun = end
            if event.kind == EventKind.AGENT_ADDED:
                others.add(agent)
            else:
                others.discard(agent)
        suspected[own[begun:]] = bool(others)
    return suspected & transfers.between_wallets()


def _first_after(transfers: Transfers, own: NDArray[np.intp], place: Place) -> int:
    """Count how many of some transfers, which are in order, stand before a place."""
    blocks, indexes = transfers.block[own], transfers.log_index[own]
    return int(((blocks < place[0]) | ((blocks == place[0]) & (indexes < place[1]))).sum())
