"""Use cases on alerts: raised once, looked at by one officer, decided by another.

Whom an alert is about never sees it, also where they hold a role that reads alerts: for them it
does not exist (no tipping-off, AMLA 2010 s.7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, or_
from sqlmodel import Session, col, select

from registry.alert.finding import Found
from registry.alert.guards import MACHINE
from registry.alert.models import Alert, AlertRule, AlertState
from registry.investor import service as investors
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now
from registry.kernel.errors import NotFound
from registry.kernel.rows import get_row, page_after
from registry.lifecycle import service as lifecycle

log = structlog.get_logger()


def raise_alert(session: Session, found: Found) -> bool:
    """Raise an alert, unless it was raised before; tell whether it is new.

    One of the chain that a reorg had taken back stands again when its transaction comes back, or of
    a wallet that was proven another one by which its party holds as much.
    """
    known = session.exec(select(Alert).where(col(Alert.key) == found.key).with_for_update()).first()
    if known is not None:
        _stand_again(session, known, found)
        return False
    place = found.place
    alert = Alert(
        rule=found.rule,
        key=found.key,
        party_id=found.party_id,
        wallet=found.wallet,
        tokenization_id=found.tokenization_id,
        evidence=dict(found.evidence),
        chain_id=place.chain_id if place else None,
        block_number=place.block_number if place else None,
        block_hash=place.block_hash if place else None,
        tx_hash=place.tx_hash if place else None,
        happened_at=found.happened_at,
    )
    session.add(alert)
    _note(session, alert, "alert_raised")
    log.warning("alert_raised", alert=str(alert.id), rule=alert.rule)
    return True


def _stand_again(session: Session, alert: Alert, found: Found) -> None:
    place = found.place
    if place is None or (alert.taken_back_at is None and alert.block_hash == place.block_hash):
        return
    former = {"tx_hash": _hex_of(alert.tx_hash), "evidence": dict(alert.evidence)}
    alert.block_number, alert.block_hash = place.block_number, place.block_hash
    alert.tx_hash, alert.evidence = place.tx_hash, dict(found.evidence)
    alert.happened_at, alert.taken_back_at = found.happened_at, None
    session.add(alert)
    stated = {"tx_hash": _hex_of(alert.tx_hash), "evidence": alert.evidence}
    # An officer may have judged it by what it said before: the journal keeps that.
    _note(session, alert, "alert_stands_again", **({} if stated == former else {"former": former}))


def _hex_of(digest: bytes | None) -> str | None:
    return None if digest is None else f"0x{digest.hex()}"


def take_back(session: Session, alert: Alert) -> None:
    """Note that a reorg took the block in which it happened; what people did stays."""
    alert.taken_back_at = now()
    session.add(alert)
    _note(session, alert, "alert_taken_back")
    log.warning("alert_taken_back", alert=str(alert.id), rule=alert.rule)


def _note(session: Session, alert: Alert, act: str, **facts: object) -> None:
    session.flush()
    place = {} if alert.block_number is None else {"block_number": str(alert.block_number)}
    journal.record(session, THE_SYSTEM, act, "alert", alert.id, rule=alert.rule, **place, **facts)


def review_alert(session: Session, actor: Actor, alert_id: UUID, *, reason: str) -> Alert:
    """Say as the first officer what it is.

    Raises
    ------
    NotFound
    Invalid
        ``reason_missing``.
    Conflict
        ``transition_refused``.
    """
    said = {"reviewed_by": actor.subject, "reason": reason}
    return _fire(session, actor, alert_id, "review", reason, said)


def return_alert(session: Session, actor: Actor, alert_id: UUID, *, reason: str) -> Alert:
    """Disagree as the second officer: it is open again.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    NotFound
    Invalid
        ``reason_missing``.
    Conflict
        ``transition_refused``.
    """
    said = {"reviewed_by": None, "reason": None}
    return _fire(session, actor, alert_id, "return", reason, said)


def dismiss_alert(session: Session, actor: Actor, alert_id: UUID, *, reason: str) -> Alert:
    """Decide as the second officer that there is nothing in it.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    NotFound
    Invalid
        ``reason_missing``.
    Conflict
        ``transition_refused``.
    """
    return _fire(session, actor, alert_id, "dismiss", reason, _decided(actor, reason))


def escalate_alert(session: Session, actor: Actor, alert_id: UUID, *, reason: str) -> Alert:
    """Take it further, as one officer may alone: a suspicion is reported at once.

    Raises
    ------
    NotFound
    Invalid
        ``reason_missing``.
    Conflict
        ``transition_refused``.
    """
    return _fire(session, actor, alert_id, "escalate", reason, _decided(actor, reason))


def _decided(actor: Actor, reason: str) -> dict[str, Any]:
    return {"decided_by": actor.subject, "decided_at": now(), "decision_reason": reason}


def _fire(  # noqa: PLR0917
    session: Session,
    actor: Actor,
    alert_id: UUID,
    event: str,
    reason: str,
    changes: dict[str, Any],
) -> Alert:
    alert = get_alert(session, actor, alert_id, lock=True)
    lifecycle.change(
        session, actor, MACHINE, alert, event,
        given={"reason": reason}, changes=changes, reason=reason,
    )  # fmt: skip
    return alert


def get_alert(session: Session, actor: Actor, alert_id: UUID, *, lock: bool = False) -> Alert:
    """Return the alert, save to whom it is about.

    Raises
    ------
    NotFound
    """
    alert = get_row(session, Alert, alert_id, kind="alert", lock=lock)
    own = investors.find_own_party(session, actor.person)
    if own is not None and alert.party_id == own:
        raise NotFound("alert", alert_id)
    return alert


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts one looks for; without anything, all."""

    state: AlertState | None = None
    rule: AlertRule | None = None
    party_id: UUID | None = None
    tokenization_id: UUID | None = None


def list_alerts(
    session: Session, actor: Actor, wanted: AlertFilter, *, after: UUID | None, limit: int
) -> Sequence[Alert]:
    """List alerts in the order in which they were raised, save those about the caller."""
    query = select(Alert)
    for column, value in (
        (col(Alert.state), wanted.state),
        (col(Alert.rule), wanted.rule),
        (col(Alert.party_id), wanted.party_id),
        (col(Alert.tokenization_id), wanted.tokenization_id),
    ):
        if value is not None:
            query = query.where(column == value)
    own = investors.find_own_party(session, actor.person)
    if own is not None:
        query = query.where(or_(col(Alert.party_id).is_(None), col(Alert.party_id) != own))
    return session.exec(page_after(query, col(Alert.id), after=after, limit=limit)).all()


def count_by_state(session: Session) -> Mapping[tuple[AlertRule, AlertState], int]:
    """Count alerts by rule and state."""
    rows = session.exec(
        select(Alert.rule, Alert.state, func.count()).group_by(col(Alert.rule), col(Alert.state))
    )
    return {(AlertRule(rule), AlertState(state)): count for rule, state, count in rows}
