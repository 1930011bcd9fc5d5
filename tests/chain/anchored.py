"""A journal whose roots go on chain, for the tests that look at them there."""

from __future__ import annotations

from chain.sync.contract_catch_up import ContractCatchUp
from chain.sync.indexer import Indexer
from registry.anchor import reading
from registry.anchor.models import JournalAnchor
from registry.anchor.reading import Anchor
from registry.anchor.service import CONTRACT, LOG, plan_anchor
from registry.journal import service as journal
from registry.journal.sealer import seal_all
from registry.kernel.actor import THE_SYSTEM
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import catch_up
from tests.chain.world import World, ask

TURNS = 20


def read_chain(world: World) -> None:
    """Read what the chain has, that of the platform's own contracts too."""
    catch_up(Indexer(world.database, world.client))
    behind = ContractCatchUp(world.database, world.client)
    for _ in range(TURNS):
        if not behind.advance():
            return
    raise AssertionError("the contracts are not caught up")


def write(world: World, number: int = 3) -> None:
    """Do something, and have it sealed."""
    with world.database.transaction() as session:
        for index in range(number):
            journal.record(session, THE_SYSTEM, "opened", "asset", index)
    seal_all(world.database)


def plan(world: World) -> JournalAnchor:
    with world.database.transaction() as session:
        planned = plan_anchor(session, THE_SYSTEM, CHAIN_ID)
        session.expunge(planned)
    return planned


def anchor(world: World) -> Anchor:
    """Seal what waits, and see the root on chain."""
    seal_all(world.database)
    planned = plan(world)
    world.settle()
    read_chain(world)
    (found,) = [row for row in listed(world) if row.id == planned.id]
    return found


def listed(world: World) -> list[Anchor]:
    with world.database.reading() as session:
        return list(reading.list_anchors(session, CHAIN_ID, before=None, limit=50))


def root_on_chain(world: World, size: int) -> bytes:
    place = world.place(CONTRACT)
    root: bytes = ask(world.client, CONTRACT, place, "rootAt", LOG, size)
    return root
