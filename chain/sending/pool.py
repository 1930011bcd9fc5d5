"""Several keys that share the work of one role: which of them sends what.

A dependency is on chain before what depends on it is sent, so it does not matter which key of
the pool sends either (ADR 0028).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import zip_longest
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlmodel import Session, col, select

from chain.node.client import hex_of
from chain.operations import EFFECTS
from chain.operations.effect import Chain
from chain.sending.funds import open_watch
from chain.sending.outbox import list_fresh, list_ready
from chain.sending.roles import is_granted
from chain.signing.policies import SignerRole
from chain.signing.port import Signer
from registry.kernel.clock import now
from registry.operation.models import Operation, SignerWatch

log = structlog.get_logger()

MAX_IN_FLIGHT = 64
REST = timedelta(seconds=30)
"""So long a key that could not sign or pay leaves its work to the others of its pool."""

IN_ANY_ORDER = frozenset({SignerRole.AGENT})
"""Roles in which nothing relies on the order of nonces: there, what waits lets others pass."""


class Group(NamedTuple):
    """The rows of one transaction that is ready.

    Parameters
    ----------
    waits
        Its first row was tried before, and waits for something.
    """

    kind: str
    rows: list[UUID]
    waits: bool = False


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

    def list_ready(self, session: Session, most: int) -> Sequence[Operation]:
        """List what may be sent now, oldest first: so many of all, and some of each role.

        However many of one role wait at the head, those of another one are seen behind them. In a
        role whose order does not matter so is what nothing holds up, and of what waits some of each
        kind: what one kind waits for, another kind may have or not need.

        Parameters
        ----------
        most
            Operations for which there is room.
        """
        kinds = self.ready_kinds(session)
        found = list_ready(session, kinds, most)
        if not most or len(found) < most:
            return found
        seen = {operation.id: operation for operation in found}
        for role in self._roles:
            mine = [kind for kind in kinds if EFFECTS[kind].role == role]
            in_head = [each for each in found if EFFECTS[each.kind].role == role]
            share = -(-most // len(self._roles))
            if len(in_head) < share or any(each.waits_for for each in in_head):
                behind = _behind(session, role, mine, share)
                seen |= {each.id: each for each in behind}
        return [seen[each] for each in sorted(seen)]

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
        groups: Sequence[Group],
        flying: Mapping[bytes, int],
    ) -> list[list[UUID]]:
        """Give what this key sends of transactions that are ready: each to the least busy key.

        Where there is not room for all, each role takes its turn, and each kind of what waits takes
        turns with what does not: nobody knows before it is tried whether it goes.

        Parameters
        ----------
        groups
            In the order in which they were planned.
        flying
            Transactions that each key has on their way.
        """
        flying = dict(flying)
        able = {role: self._able(session, role) for role in self._roles}
        mine = []
        for place in _in_turn(groups):
            role = EFFECTS[groups[place].kind].role
            keys = [key for key in able[role] if flying.get(key, 0) < MAX_IN_FLIGHT]
            if not keys:
                continue
            chosen = min(keys, key=lambda key: (flying.get(key, 0), key))
            flying[chosen] = flying.get(chosen, 0) + 1
            if chosen == self._signer.address:
                mine.append(place)
        return [groups[place].rows for place in sorted(mine)]

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


def _behind(
    session: Session, role: SignerRole, kinds: Sequence[str], most: int
) -> Iterator[Operation]:
    """Give what is to be seen of a role behind a head that leaves no place for it, or waits."""
    if role not in IN_ANY_ORDER:
        yield from list_ready(session, kinds, most)
        return
    yield from list_fresh(session, kinds, most)
    for kind in kinds:
        yield from list_ready(session, [kind], -(-most // len(kinds)))


def _in_turn(groups: Sequence[Group]) -> Iterator[int]:
    """Give the places of groups, one of each line after the other."""
    lines: dict[tuple[SignerRole, str | None], list[int]] = {}
    for place, group in enumerate(groups):
        role = EFFECTS[group.kind].role
        waiting = group.kind if group.waits and role in IN_ANY_ORDER else None
        lines.setdefault((role, waiting), []).append(place)
    for places in zip_longest(*lines.values()):
        yield from (place for place in places if place is not None)
