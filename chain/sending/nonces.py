"""The nonces of one key: a single counter, under a lock, never behind the chain's own."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import Session, col, select

from chain.errors import NonceAhead
from chain.node.client import hex_of
from chain.operations.effect import Chain
from chain.signing.port import Signer
from registry.kernel.db import Database
from registry.operation.models import NonceStream, OperationAttempt


class Nonces:
    """Gives each nonce of one key out once.

    Parameters
    ----------
    signer
        Whose nonces they are.
    """

    def __init__(self, database: Database, chain: Chain, signer: Signer) -> None:
        self._database = database
        self._chain = chain
        self._signer = signer

    def require_known(self, session: Session, used: Mapping[bytes, int]) -> None:
        """Make sure that the chain knows no more of any key than we do, and open our stream.

        Of any key: what another one has sent and the database has forgotten, this one might send
        again, or find reverting by now and refuse.

        Parameters
        ----------
        used
            Nonces that the chain had seen used, or its pool, before the session's first look, by
            key. What waits in the pool counts: were its nonce given out again, the operation that
            owns it would lose it, and whatever is in the pool might be sent a second time.

        Raises
        ------
        NonceAhead
            Something was sent of which the database knows nothing.
        """
        for address in used.keys() - {self._signer.address}:
            other = session.get(NonceStream, (self._chain.chain_id, address))
            _require_known(session, address, other, used[address])
        stream, mine = self._locked(session), used[self._signer.address]
        _require_known(session, self._signer.address, stream, mine)
        if stream is None:
            self.open(session, start=mine)

    def take(self, session: Session) -> int:
        """Give the next nonce out; it is taken once the session commits."""
        stream = self._locked(session)
        assert stream is not None, "the stream is opened before anything is signed"
        nonce: int = stream.next_nonce
        stream.next_nonce = nonce + 1
        session.add(stream)
        return nonce

    def is_told(self) -> bool:
        """Tell whether the chain has seen just those nonces used that were given out."""
        used = self.used_on_chain()
        with self._database.transaction() as session:
            stream = self._locked(session)
            return stream is None or used == stream.next_nonce

    def used_on_chain(self) -> int:
        return self._chain.client.nonce(self._signer.address)

    def _locked(self, session: Session) -> NonceStream | None:
        identity = (self._chain.chain_id, self._signer.address)
        return session.get(NonceStream, identity, with_for_update=True)

    def open(self, session: Session, *, start: int) -> NonceStream:
        """Return the stream of the key, locked; made where there is none."""
        stream = self._locked(session)
        if stream is None:
            # Another worker may be opening it at this moment.
            session.execute(
                upsert(NonceStream)
                .values(
                    chain_id=self._chain.chain_id,
                    signer=self._signer.address,
                    next_nonce=start,
                )
                .on_conflict_do_nothing()
            )
            stream = self._locked(session)
            assert stream is not None
        return stream


def _require_known(session: Session, address: bytes, stream: NonceStream | None, used: int) -> None:
    if stream is None and used and _has_sent(session):
        # A backup may be older than the key: what it has sent since is looked for first.
        raise NonceAhead(hex_of(address), used, 0)
    if stream is not None and used > stream.next_nonce:
        raise NonceAhead(hex_of(address), used, stream.next_nonce)


def _has_sent(session: Session) -> bool:
    """Tell whether any key of ours has ever sent anything that a block took."""
    mined = select(OperationAttempt.tx_hash).where(col(OperationAttempt.block_number).is_not(None))
    return session.exec(mined.limit(1)).first() is not None
