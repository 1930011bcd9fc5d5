"""Holding the journal against its roots on chain: what a journal that was written anew has not.

The roots are asked of the node, at every address where the platform's contract is said to stand;
nothing that is kept here of anchors is believed.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from chain.contracts.abi import contract
from chain.contracts.decoding import Garbled
from chain.errors import RpcRefused
from chain.node.client import ChainClient, hex_of
from registry.anchor.models import JournalAnchor
from registry.anchor.reading import EVENT
from registry.anchor.service import CONTRACT, LOG
from registry.captable.contract_models import ContractEvent, FollowedContract
from registry.journal.proofs import Tree
from registry.journal.sealer import head
from registry.kernel.db import Database
from registry.operation.models import PlatformContract

NOTHING = bytes(32)


def wrong_roots(
    database: Database, client: ChainClient, *, named: bytes | None = None
) -> Iterator[str]:
    """Find anchored roots that are not those of the journal as it stands.

    Parameters
    ----------
    named
        Where the contract stands, as whoever asks has noted it: what the database says of that
        can be changed like any row.

    Yields
    ------
    str
        A sentence for each.
    """
    with database.reading() as session:
        told = _places(session, client.chain_id)
        if named is not None:
            told["whoever asks"] = {named}
        places = set().union(*told.values())
        yield from _astray(session, client.chain_id, told)
        sizes = _sizes(session, client.chain_id)
        tree = Tree(session)
        for place in sorted(places):
            yield from _at(session, client, place, sizes, tree)


def _places(session: Session, chain_id: int) -> dict[str, set[bytes]]:
    """List where the contract stands, by the tables that say so."""
    platform = session.get(PlatformContract, (chain_id, CONTRACT))
    followed = session.exec(
        select(FollowedContract.address).where(
            col(FollowedContract.chain_id) == chain_id, col(FollowedContract.name) == CONTRACT
        )
    ).all()
    logged = session.exec(
        select(ContractEvent.address)
        .where(col(ContractEvent.chain_id) == chain_id, col(ContractEvent.event) == EVENT)
        .distinct()
    ).all()
    told = {
        "platform_contract": {platform.address} if platform else set(),
        "followed_contract": set(followed),
        "contract_event": set(logged),
    }
    return {table: found for table, found in told.items() if found}


def _astray(session: Session, chain_id: int, told: dict[str, set[bytes]]) -> Iterator[str]:
    """Find tables that name the contract otherwise than others, or not any more."""
    if len(set().union(*told.values())) > 1:
        each = (
            f"{', '.join(map(hex_of, sorted(found)))} by {table}" for table, found in told.items()
        )
        yield f"{CONTRACT} of chain {chain_id} stands at more than one address: {'; '.join(each)}"
    anchors = select(JournalAnchor.id).where(col(JournalAnchor.chain_id) == chain_id).limit(1)
    was_asked = bool(told) or session.exec(anchors).first() is not None
    if was_asked and "platform_contract" not in told:
        yield (
            f"platform_contract has no {CONTRACT} of chain {chain_id}, where roots of the journal "
            "were anchored"
        )


def _at(
    session: Session, client: ChainClient, place: bytes, sizes: set[int], tree: Tree
) -> Iterator[str]:
    """Hold the journal against the roots that one contract has."""
    seal = head(session)
    length = seal.tree_size if seal else 0
    try:
        size, root = _head(client, place)
    except (Garbled, RpcRefused) as refused:
        if isinstance(refused, RpcRefused) and not refused.is_revert:
            raise
        yield f"No {CONTRACT} answers at {hex_of(place)}"
        return
    if size > length:
        yield (
            f"The journal has {length} entries, and {size} are anchored at {hex_of(place)}: the "
            "last ones of journal_leaf are gone"
        )
    # The newest root is asked of the chain: that it was anchored needs nobody's word.
    roots = {size: root} | {each: root_at(client, place, each) for each in sizes - {size}}
    for each, there in sorted(roots.items()):
        if there == NOTHING or each > length:
            continue
        if tree.range_hash(0, each) != there:
            yield (
                f"The first {each} entries of journal_leaf are not those whose root stands on "
                f"chain, 0x{there.hex()}: the journal was written anew"
            )
    yield from _strays(session, client, place)


def _head(client: ChainClient, place: bytes) -> tuple[int, bytes]:
    asked = contract(CONTRACT).functions["head"]
    size, _, root = asked.decode(client.call(place, asked.encode(LOG)))
    return size, root


def root_at(client: ChainClient, place: bytes, size: int) -> bytes:
    """Ask the contract for the root of the journal at a size; zeros where it has none."""
    asked = contract(CONTRACT).functions["rootAt"]
    root: bytes = asked.decode(client.call(place, asked.encode(LOG, size)))
    return root


def _sizes(session: Session, chain_id: int) -> set[int]:
    """List every size of which the chain, or we, say that it was anchored."""
    told = session.exec(
        select(ContractEvent.said).where(
            col(ContractEvent.chain_id) == chain_id, col(ContractEvent.event) == EVENT
        )
    ).all()
    ours = session.exec(
        select(JournalAnchor.tree_size).where(col(JournalAnchor.chain_id) == chain_id)
    ).all()
    log = f"0x{LOG.hex()}"
    return {int(said["size"]) for said in told if said["log"] == log} | set(ours)


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
