"""Holding the journal against its roots on chain: what a journal that was written anew has not.

The events are asked of the node, at the address where the platform's contract stands; nothing that
is kept here of anchors is believed.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from chain.contracts.abi import contract
from chain.node.client import ChainClient, hex_of
from registry.anchor.models import JournalAnchor
from registry.anchor.service import CONTRACT, LOG
from registry.captable.contract_models import ContractEvent
from registry.journal.proofs import Tree
from registry.journal.sealer import head
from registry.kernel.db import Database
from registry.operation.models import PlatformContract

NOTHING = bytes(32)


def wrong_roots(database: Database, client: ChainClient) -> Iterator[str]:
    """Find anchored roots that are not those of the journal as it stands.

    Yields
    ------
    str
        A sentence for each.
    """
    with database.reading() as session:
        place = session.get(PlatformContract, (client.chain_id, CONTRACT))
        if place is None:
            return
        seal = head(session)
        length = seal.tree_size if seal else 0
        tree = Tree(session)
        yield from _larger(client, place.address, length)
        for size in _sizes(session, client.chain_id):
            there = root_at(client, place.address, size)
            if there in {NOTHING, None} or size > length:
                continue
            if tree.range_hash(0, size) != there:
                yield (
                    f"The first {size} entries of journal_leaf are not those whose root stands on "
                    f"chain, 0x{there.hex()}: the journal was written anew"
                )
        yield from _strays(session, client, place.address)


def root_at(client: ChainClient, place: bytes, size: int) -> bytes:
    """Ask the contract for the root of the journal at a size; zeros where it has none."""
    asked = contract(CONTRACT).functions["rootAt"]
    root: bytes = asked.decode(client.call(place, asked.encode(LOG, size)))
    return root


def _larger(client: ChainClient, place: bytes, length: int) -> Iterator[str]:
    asked = contract(CONTRACT).functions["head"]
    size, _, _ = asked.decode(client.call(place, asked.encode(LOG)))
    if size > length:
        yield (
            f"The journal has {length} entries, and {size} are anchored at {hex_of(place)}: the "
            "last ones of journal_leaf are gone"
        )


def _sizes(session: Session, chain_id: int) -> list[int]:
    """List every size of which the chain, or we, say that it was anchored."""
    told = session.exec(
        select(ContractEvent.said).where(
            col(ContractEvent.chain_id) == chain_id, col(ContractEvent.event) == "RootAnchored"
        )
    ).all()
    ours = session.exec(
        select(JournalAnchor.tree_size).where(col(JournalAnchor.chain_id) == chain_id)
    ).all()
    log = f"0x{LOG.hex()}"
    return sorted({int(said["size"]) for said in told if said["log"] == log} | set(ours))


def _strays(session: Session, client: ChainClient, place: bytes) -> Iterator[str]:
    """Find anchors of ours whose root is another than that on chain."""
    rows = session.exec(
        select(JournalAnchor)
        .where(col(JournalAnchor.chain_id) == client.chain_id)
        .order_by(col(JournalAnchor.tree_size))
    ).all()
    for row in rows:
        there = root_at(client, place, row.tree_size)
        if there not in {NOTHING, row.root}:
            yield f"Row {row.id} of journal_anchor names another root than stands on chain"
