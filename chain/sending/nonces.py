"""The nonces of one key: a single counter, under a lock, never behind the chain's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import bindparam, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import Session, col, select

from chain.errors import NonceAhead
from chain.node.client import hex_of
from chain.operations.effect import Chain
from chain.sending.resender import UNMINED
from chain.sending.standing import Standing
from chain.signing.port import Signer
from registry.kernel.db import Database
from registry.operation.models import NonceStream, Operation, OperationAttempt

_COUNTED_ON = (
    update(NonceStream)
    .where(
        col(NonceStream.chain_id) == bindparam("of_chain"),
        col(NonceStream.signer) == bindparam("of"),
    )
    .values(next_nonce=col(NonceStream.next_nonce) + bindparam("count"))
    .returning(col(NonceStream.next_nonce))
)


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

    def require_known(
        self, session: Session, used: Mapping[bytes, int], standing: Mapping[bytes, Standing]
    ) -> None:
        """Make sure that the chain knows no more of any key than we do, and open our stream.

        Of any key: what another one has sent and the database has forgotten, this one might send
        again, or find reverting by now and refuse.

        Parameters
        ----------
        used
            Nonces that the chain had seen used, or its pool, by key. What waits in the pool counts:
            were its nonce given out again, the operation that owns it would lose it, and whatever
            is in the pool might be sent a second time.
        standing
            How the keys stood in the database after that: what is sent between the two looks is
            not unknown.

        Raises
        ------
        NonceAhead
            Something was sent of which the database knows nothing.
        """
        require_known(session, {key: each.given_out for key, each in standing.items()}, used)
        if self._signer.address not in standing:
            self.open(session, start=used[self._signer.address])

    def _given_out(self, session: Session, keys: Collection[bytes]) -> dict[bytes, int]:
        """Give how many nonces of each key were given out; of those that have a stream."""
        rows = session.exec(
            select(NonceStream.signer, NonceStream.next_nonce).where(
                col(NonceStream.chain_id) == self._chain.chain_id,
                col(NonceStream.signer).in_(keys),
            )
        )
        return {bytes(signer): count for signer, count in rows}

    def take(self, session: Session, count: int) -> int:
        """Give the next nonces out, and return the first; they are taken once the session commits.

        The chain is asked once more, under the lock: what went out a moment ago may have closed a
        gap, and have set free what a pool kept behind it; and nobody closes one meanwhile.

        Raises
        ------
        NonceAhead
            Something was sent of which the database knows nothing.
        """
        nonce = self.count_on(session, count)
        assert nonce is not None, "the stream is opened before anything is signed"
        keys = [key.address for key in self._chain.senders]
        used = self._chain.client.nonces_used(keys)
        given_out = self._given_out(session, keys) | {self._signer.address: nonce}
        require_known(session, given_out, used)
        return nonce

    def count_on(self, session: Session, count: int) -> int | None:
        """Give the next nonces out and hold the stream; None where it is not open yet.

        Before anything is signed with it, the chain is asked what it knows (`require_known`).
        """
        given = {"of_chain": self._chain.chain_id, "of": self._signer.address, "count": count}
        following = session.connection().execute(_COUNTED_ON, given).scalar_one_or_none()
        return None if following is None else int(following) - count

    def is_told(self) -> bool:
        """Tell whether the chain has seen just those nonces used that were given out.

        And by what the database says: a nonce may have been spent by something that it has
        forgotten, and an operation wait for it in vain.
        """
        used = self.used_on_chain()
        with self._database.transaction() as session:
            stream = self._locked(session)
            if stream is None:
                return True
            return used == stream.next_nonce and not self._has_unmined(session)

    def _has_unmined(self, session: Session) -> bool:
        unmined = select(Operation.id).where(
            col(Operation.signer) == self._signer.address, col(Operation.state).in_(UNMINED)
        )
        return session.exec(unmined.limit(1)).first() is not None

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


def require_known(
    session: Session, given_out: Mapping[bytes, int], used: Mapping[bytes, int]
) -> None:
    """Make sure that the chain has seen no nonce used that was not given out.

    Raises
    ------
    NonceAhead
        Something was sent of which the database knows nothing.
    """
    for address, count in used.items():
        # A backup may be older than the key: what it has sent since is looked for first.
        is_known = address in given_out or not count or not _has_sent(session)
        known = given_out.get(address, count if is_known else 0)
        if count > known:
            raise NonceAhead(hex_of(address), count, known)


def _has_sent(session: Session) -> bool:
    """Tell whether any key of ours has ever sent anything that a block took."""
    mined = select(OperationAttempt.tx_hash).where(col(OperationAttempt.block_number).is_not(None))
    return session.exec(mined.limit(1)).first() is not None
