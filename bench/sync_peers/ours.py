"""Our own sync, from an empty database to the proof that every balance is the chain's."""

from __future__ import annotations

import logging
import time

import structlog
from sqlmodel import select

from bench.sync_peers.run import read_task, report
from chain.node.client import ChainClient, bytes_of
from chain.proving.reconciler import Reconciler
from chain.sync.indexer import Indexer
from chain.sync.ranges import projected
from registry.captable.models import Reconciliation, Token
from registry.captable.projection import open_cursor
from registry.kernel.db import Database


def prepare_token(
    database: Database,
    client: ChainClient,
    token: bytes,
    deployed_at: int,
    identity_registry: bytes = b"\x01" * 20,
    *,
    compliance: bytes = b"\x02" * 20,
) -> None:
    """Let the projection begin before the token, and know of it as if we had deployed it."""
    before = client.block(deployed_at - 1)
    assert before is not None
    with database.transaction() as session:
        open_cursor(session, client.chain_id, projected(before), before.number)
        session.add(
            Token(
                chain_id=client.chain_id,
                address=token,
                identity_registry=identity_registry,
                compliance=compliance,
                block_number=deployed_at,
                paused=False,
            )
        )


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    task = read_task()
    database = Database(task.database)
    client = ChainClient(task.url, task.chain_id)
    prepare_token(database, client, bytes_of(task.token), task.deployed_at)
    indexer, reconciler = Indexer(database, client), Reconciler(database, client)
    started = time.perf_counter()
    while indexer.advance():
        pass
    proofs = reconciler.reconcile_due()
    seconds = time.perf_counter() - started
    with database.reading() as session:
        proof = session.exec(select(Reconciliation)).one()
    assert proofs == 1
    assert proof.differences == []
    assert proof.block_number >= task.head
    report(seconds)


if __name__ == "__main__":
    main()
