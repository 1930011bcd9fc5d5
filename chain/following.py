"""Projecting several chains at once: the platform's own, and those on which tokens were adopted."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from chain.node.client import ChainClient
from chain.node.heads import announcing
from chain.runtime import open_client
from chain.worker import run_sync
from registry.kernel.db import Database
from registry.kernel.errors import NotFound
from registry.kernel.settings import Settings


def run_syncs(
    database: Database,
    settings: Settings,
    client: ChainClient,
    stop: threading.Event,
    *,
    announced_at: Sequence[str] = (),
) -> None:
    """Project every chain that the settings name, each by itself, until `stop` is set.

    A chain whose node is away holds none of the others up.

    Parameters
    ----------
    client
        Of the platform's own chain, CHAIN_ID.
    announced_at
        Where blocks of that one are announced.
    """
    others = [
        threading.Thread(
            target=run_sync,
            args=(database, client_of(settings, other.chain_id), stop),
            kwargs={
                "finality": other.finality,
                "holders_per_second": settings.reconcile_holders_per_second,
                "announced_at": announcing(other.rpc_url, None),
                "is_ours": False,
            },
            name=f"sync of chain {other.chain_id}",
            daemon=True,
        )
        for other in settings.followed_chains
    ]
    for thread in others:
        thread.start()
    run_sync(
        database,
        client,
        stop,
        finality=settings.finality,
        holders_per_second=settings.reconcile_holders_per_second,
        announced_at=announced_at,
    )
    for thread in others:
        thread.join()


def client_of(settings: Settings, chain_id: int) -> ChainClient:
    """Give a client of a chain that is followed beside the platform's own.

    Raises
    ------
    NotFound
        FOLLOWED_CHAINS does not name it.
    """
    for other in settings.followed_chains:
        if other.chain_id == chain_id:
            there = settings.model_copy(update={"chain_id": chain_id})
            return open_client(there, other.rpc_url)
    raise NotFound("chain", chain_id)
