"""Opening breaks: one for each difference, and none twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import now
from registry.kernel.rows import among
from registry.reconciliation.models import CLOSED, BreakState, ReconciliationBreak
from registry.reconciliation.views import Difference
from registry.tokenization import service as tokenizations


def open_breaks(
    session: Session, tokenization_id: UUID, found: Iterable[Difference]
) -> list[ReconciliationBreak]:
    """Open a break for each difference that has none; return the new ones."""
    tokenizations.get_tokenization(session, tokenization_id, lock=True)
    made = open_or_touch(session, tokenization_id, list(found))
    return [item for item, is_new in made if is_new]


def open_or_touch(
    session: Session, tokenization_id: UUID, found: Sequence[Difference]
) -> list[tuple[ReconciliationBreak, bool]]:
    """Return a break for each difference, and whether it is new; who asks has locked the token."""
    standing = _standing(session, tokenization_id, found)
    made = []
    for item in found:
        seen = _same(standing[item.rule, item.subject], item)
        if seen is None:
            seen, is_new = _opened(session, tokenization_id, item), True
            standing[item.rule, item.subject].append(seen)
        else:
            _touch(session, seen, item)
            is_new = False
        made.append((seen, is_new))
    session.flush()
    return made


def _standing(
    session: Session, tokenization_id: UUID, found: Sequence[Difference]
) -> defaultdict[tuple[str, str], list[ReconciliationBreak]]:
    """Return what is open of these, or was written off, the oldest first."""
    standing: defaultdict[tuple[str, str], list[ReconciliationBreak]] = defaultdict(list)
    if not found:
        return standing
    rows = session.exec(
        select(ReconciliationBreak)
        .where(
            col(ReconciliationBreak.tokenization_id) == tokenization_id,
            col(ReconciliationBreak.rule).in_({item.rule for item in found}),
            among(col(ReconciliationBreak.subject), sorted({item.subject for item in found})),
            col(ReconciliationBreak.state) != BreakState.RESOLVED,
        )
        .order_by(col(ReconciliationBreak.id))
    )
    for row in rows:
        standing[row.rule, row.subject].append(row)
    return standing


def _same(standing: Sequence[ReconciliationBreak], item: Difference) -> ReconciliationBreak | None:
    """Choose the open one; else what two people wrote off, while it is exactly that."""
    opened = [row for row in standing if row.state not in CLOSED]
    accepted = [row for row in standing if row.state in CLOSED and row.detail == item.detail]
    return next(iter(opened or accepted[::-1]), None)


def _touch(session: Session, seen: ReconciliationBreak, item: Difference) -> None:
    seen.last_seen_at = now()
    if seen.detail != item.detail:
        seen.detail = item.detail
        journal.record(
            session, THE_SYSTEM, "reconciliation_break_changed", "reconciliation_break", seen.id
        )


def _opened(session: Session, tokenization_id: UUID, item: Difference) -> ReconciliationBreak:
    made = ReconciliationBreak(
        tokenization_id=tokenization_id,
        rule=item.rule,
        subject=item.subject,
        detail=item.detail,
        last_seen_at=now(),
    )
    session.add(made)
    journal.record(
        session, THE_SYSTEM, "reconciliation_break_opened", "reconciliation_break", made.id,
        rule=item.rule, break_subject=item.subject, tokenization_id=str(tokenization_id),
    )  # fmt: skip
    return made
