"""Sending the journal's root to the chain: when it is due, or when somebody asks."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.anchor.models import JournalAnchor
from registry.journal.models import JournalSeal
from registry.journal.sealer import head, is_sound
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Unavailable
from registry.operation import service as operations
from registry.operation.models import FAILED, ON_CHAIN, Operation, OperationKind, PlatformContract

CONTRACT = "RegistryAnchor"
LOG = hashlib.sha256(b"milkiyat.journal").digest()
"""By which the contract knows the journal among other logs."""

_TURN = "journal_anchor"


def plan_due(session: Session, chain_id: int, every: timedelta) -> JournalAnchor | None:
    """Anchor what is sealed, if something new is and the last anchor is `every` ago.

    Where nothing was ever anchored, the time counts from the first seal.
    """
    if not _is_due(session, chain_id, every):
        return None
    return plan_anchor(session, THE_SYSTEM, chain_id)


def _is_due(session: Session, chain_id: int, every: timedelta) -> bool:
    seal = head(session)
    if seal is None or session.get(PlatformContract, (chain_id, CONTRACT)) is None:
        return False
    last = newest(session, chain_id)
    since = _first_seal(session).sealed_at if last is None else last.recorded_at
    is_new = last is None or last.tree_size < seal.tree_size or _has_failed(session, last)
    return is_new and since + every <= now()


def _first_seal(session: Session) -> JournalSeal:
    return session.exec(select(JournalSeal).order_by(col(JournalSeal.tree_size)).limit(1)).one()


def plan_anchor(session: Session, actor: Actor, chain_id: int) -> JournalAnchor:
    """Anchor the newest seal.

    One root is on its way at a time: until it is mined, asking again gives the same one.

    Raises
    ------
    Conflict
        ``journal_empty``, ``journal_head_broken``.
    Unavailable
        ``platform_not_deployed``.
    """
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext(_TURN))))
    last = newest(session, chain_id)
    if last is not None and _is_on_its_way(session, last):
        return last
    seal = _soundest(session)
    if last is not None and last.tree_size == seal.tree_size and not _has_failed(session, last):
        return last
    if session.get(PlatformContract, (chain_id, CONTRACT)) is None:
        raise Unavailable(
            "platform_not_deployed",
            "The contract that keeps the journal's roots does not stand yet.",
            remedy="Wait until the worker has deployed the platform.",
        )
    operation = operations.plan(
        session,
        actor,
        OperationKind.ANCHOR_JOURNAL,
        key=f"anchor:{chain_id}:{seal.tree_size}",
        subject=("journal", seal.tree_size),
        params={"tree_size": str(seal.tree_size), "root": seal.root.hex()},
    )
    return _note(session, chain_id, seal, operation)


def _note(
    session: Session, chain_id: int, seal: JournalSeal, operation: Operation
) -> JournalAnchor:
    anchor = session.exec(
        select(JournalAnchor).where(
            col(JournalAnchor.chain_id) == chain_id, col(JournalAnchor.tree_size) == seal.tree_size
        )
    ).first()
    if anchor is None:
        anchor = JournalAnchor(
            chain_id=chain_id,
            tree_size=seal.tree_size,
            root=seal.root,
            operation_id=operation.id,
        )
    anchor.operation_id, anchor.recorded_at = operation.id, now()
    session.add(anchor)
    session.flush()
    return anchor


def _soundest(session: Session) -> JournalSeal:
    seal = head(session)
    if seal is None:
        raise Conflict("journal_empty", "Nothing is sealed yet.")
    if not is_sound(seal):
        raise Conflict(
            "journal_head_broken",
            f"The seal of {seal.tree_size} entries does not stand for its own tree (rule AUD-01).",
            remedy="Export the journal, verify it, and find out who changed it.",
            rule="AUD-01",
        )
    return seal


def newest(session: Session, chain_id: int) -> JournalAnchor | None:
    """Return the anchor of the largest tree, on chain or on its way."""
    return session.exec(
        select(JournalAnchor)
        .where(col(JournalAnchor.chain_id) == chain_id)
        .order_by(col(JournalAnchor.tree_size).desc())
        .limit(1)
    ).first()


def require_sealed(session: Session, tree_size: int, root: bytes) -> None:
    """Refuse a root that the journal does not have any more at that size.

    Raises
    ------
    Conflict
        ``journal_head_broken``.
    """
    seal = session.get(JournalSeal, tree_size)
    if seal is None or seal.root != root or not is_sound(seal):
        raise Conflict(
            "journal_head_broken",
            f"The seal of {tree_size} entries is not what it was when its anchor was planned.",
            rule="AUD-01",
        )


def _is_on_its_way(session: Session, anchor: JournalAnchor) -> bool:
    state = session.get_one(Operation, anchor.operation_id).state
    return state not in FAILED and state not in ON_CHAIN


def _has_failed(session: Session, anchor: JournalAnchor) -> bool:
    return session.get_one(Operation, anchor.operation_id).state in FAILED
