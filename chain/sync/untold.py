"""Tokens of ours whose deployment no log told us of: they are looked for, and followed anyway.

A range whose other logs are all there shows nothing of one that a node left out, and of a token
that is not followed nothing is ever proven. The register knows where each of its tokens stands.
"""

from __future__ import annotations

import time

import structlog

from chain.errors import NoQuorum, RpcRefused
from chain.node.client import ChainClient, hex_of
from chain.sync.adoption import AdoptionRefused, examine
from registry.captable import catching_up
from registry.captable.service import find_token
from registry.captable.untold import list_untold
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.db import Database

log = structlog.get_logger()

EVERY_SECONDS = 60.0


class Untold:
    """Has such tokens of the platform's chain caught up by themselves (`chain.sync.catch_up`)."""

    def __init__(self, database: Database, client: ChainClient) -> None:
        self._database = database
        self._client = client
        self._look_at = 0.0

    def turn(self) -> None:
        """Look for them, if it is time to; each is followed from its first block on."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + EVERY_SECONDS
        with self._database.reading() as session:
            addresses = list_untold(session, self._client.chain_id)
        for address in addresses:
            self._follow(address)

    def _follow(self, address: bytes) -> None:
        log.error("deployment_untold", token=hex_of(address))
        try:
            found = examine(self._client, address)
        except (AdoptionRefused, RpcRefused, NoQuorum) as refused:
            # No other token is kept waiting by it, and nothing else that a turn does.
            log.warning("token_not_adopted", token=hex_of(address), reason=str(refused))
            return
        with self._database.transaction() as session:
            if find_token(session, address, chain_id=self._client.chain_id) is not None:
                return  # by `tokens adopt`, meanwhile
            catching_up.adopt(session, THE_SYSTEM, self._client.chain_id, found)
