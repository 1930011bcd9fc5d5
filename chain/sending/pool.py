"""Several keys that share the work of one role: which of them sends what.

A dependency is on chain before what depends on it is sent, so it does not matter which key of
the pool sends either (ADR 0028).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from sqlmodel import Session, col, select

from chain.node.client import hex_of
from chain.operations import EFFECTS
from chain.operations.effect import Chain
from chain.sending.funds import open_watch
from chain.sending.roles import is_granted
from chain.signing.policies import SignerRole
from chain.signing.port import Signer
from registry.kernel.clock import now
from registry.operation.models import SignerWatch

log = structlog.get_logger()

MAX_IN_FLIGHT = 64
REST = timedelta(seconds=30)
"""So long a key that could not sign or pay leaves its work to the others of its pool."""


class Pool:
    """The view of one key on the keys that it shares its work with.

    Parameters
    ----------
    signer
        The key that asks.
    """

    def __init__(self, chain: Chain, signer: Signer) -> None:
        self._chain = chain
        self._signer = signer
        self._roles = chain.roles(signer)

    @property
    def kinds(self) -> list[str]:
        """Kinds of operations that this key may send."""
        return [kind for kind, effect in EFFECTS.items() if effect.role in self._roles]

    def ready_kinds(self, session: Session) -> list[str]:
        """Kinds that it may send now: the contracts know it in the role."""
        ready = {
            role for role in self._roles if is_granted(session, self._chain, role, self._signer)
        }
        return [kind for kind, effect in EFFECTS.items() if effect.role in ready]

    def free(self, flying: Mapping[bytes, int]) -> int:
        """Tell how many more transactions all keys of its roles may have on their way.

        Parameters
        ----------
        flying
            Transactions that each key has on their way.
        """
        keys = {key.address for role in self._roles for key in self._chain.keys(role)}
        return sum(max(MAX_IN_FLIGHT - flying.get(address, 0), 0) for address in keys)

    def share(
        self,
        session: Session,
        groups: Sequence[tuple[str, list[UUID]]],
        flying: Mapping[bytes, int],
    ) -> list[list[UUID]]:
        """Give what this key sends of transactions that are ready: each to the least busy key.

        Parameters
        ----------
        groups
            Kind and rows of each transaction.
        flying
            Transactions that each key has on their way.
        """
        flying = dict(flying)
        able = {role: self._able(session, role) for role in self._roles}
        mine = []
        for kind, rows in groups:
            keys = [key for key in able[EFFECTS[kind].role] if flying.get(key, 0) < MAX_IN_FLIGHT]
            if not keys:
                continue
            chosen = min(keys, key=lambda key: (flying.get(key, 0), key))
            flying[chosen] = flying.get(chosen, 0) + 1
            if chosen == self._signer.address:
                mine.append(rows)
        return mine

    def rest(self, session: Session, reason: str) -> None:
        """Leave the work to the others for a while."""
        watch = open_watch(session, self._chain, self._signer)
        if watch.resting_until is None or watch.resting_until < now():
            log.warning("signer_rests", signer=hex_of(self._signer.address), reason=reason)
        watch.resting_until, watch.reason = now() + REST, reason
        session.add(watch)

    def _able(self, session: Session, role: SignerRole) -> list[bytes]:
        """Give the keys of a role that are not resting; all of them where everyone rests."""
        keys = [
            key.address
            for key in self._chain.keys(role)
            if is_granted(session, self._chain, role, key)
        ]
        if len(keys) < 2:  # noqa: PLR2004 (nobody to leave the work to)
            return keys
        resting = session.exec(
            select(SignerWatch.signer).where(
                col(SignerWatch.chain_id) == self._chain.chain_id,
                col(SignerWatch.signer).in_(keys),
                col(SignerWatch.resting_until) > now(),
            )
        ).all()
        return [key for key in keys if key not in resting] or keys
