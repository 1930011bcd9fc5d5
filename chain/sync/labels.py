"""What a token calls itself: symbol, name and decimals, which no event of it tells in the clear.

T-REX indexes the texts of ``UpdatedTokenInformation``, so that its logs have their hashes alone.
The token itself is asked: when it is adopted, and again now and then, since its owner may rename
it.
"""

from __future__ import annotations

import time
from typing import Any

import structlog

from chain.contracts.abi import contract
from chain.contracts.decoding import Garbled
from chain.errors import RpcRefused
from chain.node.client import ChainClient, hex_of
from registry.captable.events import TokenLabel
from registry.captable.portfolio import list_adopted, note_label
from registry.kernel.db import Database

log = structlog.get_logger()

EVERY_SECONDS = 60.0
LONGEST = 200
"""Characters of a text that are kept: a token may call itself whatever it likes."""


class Labels:
    """Keeps the names of one chain's adopted tokens.

    Parameters
    ----------
    is_ours
        The platform stands on this chain: what is tokenized there has its name from the register.
    """

    def __init__(self, database: Database, client: ChainClient, *, is_ours: bool) -> None:
        self._database = database
        self._client = client
        self._is_ours = is_ours
        self._asked_at: float | None = None

    def turn(self) -> None:
        """Ask the adopted tokens for their names, if it is time to."""
        if self._asked_at is not None and time.monotonic() < self._asked_at + EVERY_SECONDS:
            return
        self._asked_at = time.monotonic()
        with self._database.reading() as session:
            known = list_adopted(session, self._client.chain_id, is_ours=self._is_ours)
        for token_no, address, label in known:
            try:
                told = read_label(self._client, address)
            except RpcRefused as refused:
                # By the node, or with all of its gas: no token keeps the others from being asked.
                log.warning("token_not_named", token=hex_of(address), reason=refused.message)
                continue
            if told == label:
                continue
            log.info("token_named", token=hex_of(address), symbol=told.symbol, name=told.name)
            with self._database.transaction() as session:
                note_label(session, token_no, told)


def read_label(client: ChainClient, address: bytes) -> TokenLabel:
    """Ask a token what it calls itself now; what it refuses, or garbles, is left out.

    Raises
    ------
    RpcUnavailable
    RpcRefused
        The call was, other than by the token itself.
    """
    return TokenLabel(
        symbol=_text(_ask(client, address, "symbol")),
        name=_text(_ask(client, address, "name")),
        decimals=_ask(client, address, "decimals"),
    )


def _ask(client: ChainClient, address: bytes, name: str) -> Any:
    function = contract("Token").functions[name]
    try:
        return function.decode(client.call(address, function.encode()))
    except Garbled:
        return None
    except RpcRefused as refused:
        if not refused.is_revert:
            raise
        return None


def _text(told: str | None) -> str | None:
    """Keep what can be printed: a database takes no NUL, a reader no change of direction."""
    kept = "".join(sign for sign in told or "" if sign.isprintable())[:LONGEST].strip()
    return kept or None
