"""Telling forced transfers from voluntary ones, which T-REX 4.1.6 logs alike.

A token moves a holder's units without an agent in two ways only: the holder calls `transfer` or
`batchTransfer`, or somebody spends an allowance by `transferFrom`, which logs an Approval of the
holder right before the Transfer. Everything else is an agent's doing. Where that cannot be told
(a holder that is a contract, called by another), the transfer is called forced: it is looked at
once too often, never once too seldom.

Source: `erc3643-facts` section 6; T-REX 4.1.6, `Token.sol`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chain.client import ChainClient, Log, Sent
from chain.decode import is_allowance_spent, is_own_transfer
from registry.captable.events import ProjectedEvent
from registry.captable.models import EventKind

FORCED = {"forced": True}
BATCH = 200
"""Transactions that are asked for in one round trip."""


def mark_forced(
    client: ChainClient, events: Sequence[ProjectedEvent], logs: Sequence[Log]
) -> list[ProjectedEvent]:
    """Mark every transfer between two wallets that its holder has not made.

    Only where neither an allowance nor a case of ours explains the transfer, the node is asked
    for the transaction.

    Parameters
    ----------
    logs
        All logs of the range but its Transfers.
    """
    before = {(log.block_number, log.log_index): log for log in logs}
    cases = {
        (event.tx_hash, event.token, event.source, event.target)
        for event in events
        if event.kind == EventKind.CASE_ACT
    }
    unclear = {}
    forced = set()
    for event in events:
        if event.kind != EventKind.TRANSFER or event.source is None or event.target is None:
            continue
        place = (event.block_number, event.log_index)
        approval = before.get((event.block_number, event.log_index - 1))
        if (event.tx_hash, event.token, event.source, event.target) in cases:
            forced.add(place)
        elif approval is None or not is_allowance_spent(approval, event):
            unclear[place] = event
    hashes = list(dict.fromkeys(event.tx_hash for event in unclear.values()))
    sent: dict[bytes, Sent] = {}
    for start in range(0, len(hashes), BATCH):
        some = hashes[start : start + BATCH]
        sent |= zip(some, client.transactions(some), strict=True)
    for place, event in unclear.items():
        asked = sent[event.tx_hash]
        if not is_own_transfer(asked.sender, asked.to, asked.data, event):
            forced.add(place)
    return [
        msgspec.structs.replace(event, extra=FORCED)
        if (event.block_number, event.log_index) in forced and event.kind == EventKind.TRANSFER
        else event
        for event in events
    ]
