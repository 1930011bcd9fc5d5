"""What a node's pool keeps behind a gap in a key's nonces: no count tells of it, yet it may happen.

A node counts what is mined, and what can be mined next. Where one transaction was dropped, those
after it stay in the pool uncounted. A database from an old backup that then gives the missing
nonce out sets them free, at nonces that it holds for its own: so the gap is closed with an empty
call first, and what comes to light is bound like anything else (ADR 0030).
"""

from __future__ import annotations

from typing import Any

import structlog

from chain.errors import NonceAhead, RpcRefused, RpcUnavailable, SignerRefused, SignerUnavailable
from chain.node.client import hex_of
from chain.operations.effect import Chain
from chain.sending.fees import Fees
from chain.sending.nonces import Nonces
from chain.sending.pool import MAX_IN_FLIGHT
from chain.sending.resender import PLAIN_TRANSFER_GAS
from chain.signing.port import Signer, UnsignedTransaction
from registry.kernel.db import Database
from registry.operation.models import NonceStream

log = structlog.get_logger()


class Gaps:
    """Looks behind gaps in the nonces of all keys, and closes them.

    Parameters
    ----------
    database, chain
        Where nonces are given out, and where they are spent.
    """

    def __init__(self, database: Database, chain: Chain) -> None:
        self._database = database
        self._chain = chain

    def require_none(self) -> bool:
        """Make sure that no pool keeps what the database does not know.

        Returns
        -------
        bool
            Whether that is sure: one node serves us, and it tells what its pool keeps.

        Raises
        ------
        NonceAhead
            It does.
        """
        for key in self._chain.senders:
            next_nonce = self._next_nonce(key)
            unknown = self._behind(key, next_nonce)
            if unknown:
                raise NonceAhead(hex_of(key.address), max(unknown) + 1, next_nonce)
        return self._chain.client.is_one_node and all(
            self._queued(key.address) is not None for key in self._chain.senders
        )

    def close(self, key: Signer) -> str | None:
        """Spend the next nonce on an empty call where something unknown waits behind it.

        It has no operation, and is not stored before it goes out: sent twice it does nothing
        either, and the chain tells of it. The stream is locked, so that nobody signs with that
        nonce meanwhile.

        Returns
        -------
        str | None
            What is waited for; None where there is no gap.
        """
        if not self._behind(key, self._next_nonce(key)):
            return None
        with self._database.transaction() as session:
            nonces = Nonces(self._database, self._chain, key)
            stream = nonces.open(session, start=nonces.used_on_chain())
            unknown = self._behind(key, stream.next_nonce)
            if not unknown:
                return None
            told = f"{len(unknown)} transactions are in the node's pool behind nonce "
            told += f"{stream.next_nonce}, which is missing"
            if self._chain.client.nonce(key.address, "pending") != stream.next_nonce:
                return f"{told}; one of ours is sent again first"
            return f"{told}; {self._fill(key, stream.next_nonce)}"

    def _fill(self, key: Signer, nonce: int) -> str:
        fee = Fees(self._chain.client, self._chain.fees, key.address).look().fee
        if fee is None:
            return "the chain asks for more than the ceiling to close the gap"
        empty = UnsignedTransaction(
            chain_id=self._chain.chain_id,
            nonce=nonce,
            to=key.address,
            data=b"",
            gas=PLAIN_TRANSFER_GAS,
            max_fee_wei=fee.max_fee_wei,
            tip_wei=fee.tip_wei,
        )
        try:
            sent = self._chain.client.send_raw(key.sign_transaction(empty).raw)
        except (SignerRefused, SignerUnavailable, RpcRefused) as refused:
            return f"an empty call could not take its place: {refused}"
        log.warning("gap_closed", signer=hex_of(key.address), nonce=nonce, tx=hex_of(sent))
        return "an empty call takes its place, then they are bound"

    def _next_nonce(self, key: Signer) -> int:
        with self._database.transaction() as session:
            stream = session.get(NonceStream, (self._chain.chain_id, key.address))
            if stream is not None:
                return stream.next_nonce
        return self._chain.client.nonce(key.address)

    def _behind(self, key: Signer, next_nonce: int) -> set[int]:
        """Give nonces in the pool that were never given out.

        Far ahead of ours nothing can be ours: a key never has more than so many on their way.
        """
        queued = {int(nonce, 0) for nonce in self._queued(key.address) or ()}
        return {each for each in queued if next_nonce < each <= next_nonce + MAX_IN_FLIGHT}

    def _queued(self, address: bytes) -> dict[str, Any] | None:
        """Ask the node what it keeps behind a gap; None of the many nodes that do not tell."""
        client, owner = self._chain.client, hex_of(address)
        try:
            found = client.request("txpool_contentFrom", owner)
            return dict(found.get("queued") or {})
        except RpcRefused as refused:
            log.debug("pool_not_told", reason=refused.message)
        except RpcUnavailable:
            # Some refuse a method so. One that is away does not answer this either, and is raised.
            client.check()
        try:
            # Of everybody: asked only where the node knows no better.
            found = client.request("txpool_content").get("queued") or {}
        except (RpcRefused, RpcUnavailable) as refused:
            log.info("pool_not_told", reason=str(refused))
            return None
        return next((dict(each) for of, each in found.items() if of.lower() == owner), {})
