"""Which threshold held on a day: of the register's own rows, else the one it was made with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from functools import cache
from operator import ge, gt, le
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from sqlalchemy import bindparam
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.reading import Composed
from registry.kernel.rows import get_row, page_after
from registry.lifecycle.reasons import check_other_person
from registry.policy.models import Bound, PolicyName, PolicyRow, PolicyUnit

_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Policy:
    """A threshold, exact.

    Parameters
    ----------
    value : Fraction
        In `unit`.
    is_verified
        Whether the source was seen to say so.
    valid_from
        None: it held before the register began.
    rails
        Whose payments count, where it is about payments.
    """

    name: PolicyName
    value: Fraction
    unit: PolicyUnit
    bound: Bound
    source: str
    is_verified: bool
    valid_from: date | None = None
    rails: tuple[str, ...] = ()

    _COMPARISON: ClassVar = {Bound.AT_LEAST: ge, Bound.ABOVE: gt, Bound.AT_MOST: le}

    def covers(self, amount: Fraction | int) -> bool:
        """Tell whether the policy speaks of an amount in its unit."""
        return bool(self._COMPARISON[self.bound](amount, self.value))


@cache
def original_policies() -> Mapping[PolicyName, Policy]:
    """Return the thresholds of `policies.json`, which hold where no row of the register does."""
    rows = json.loads((Path(__file__).parent / "policies.json").read_text("utf-8"))
    return {
        PolicyName(row["name"]): Policy(
            name=PolicyName(row["name"]),
            value=Fraction(row["value"]),
            unit=PolicyUnit(row["unit"]),
            bound=Bound(row["bound"]),
            source=row["source"],
            is_verified=row["verified"],
            rails=tuple(row.get("rails", ())),
        )
        for row in rows
    }


@dataclass(frozen=True, slots=True)
class PolicyHistory:
    """One threshold through time.

    Parameters
    ----------
    changes
        By the days from which they hold; of one day the last one holds: it corrects the others.
    """

    original: Policy
    changes: Sequence[Policy]

    def on(self, day: date) -> Policy:
        """Return the threshold that held on a day."""
        held = self.original
        for change in self.changes:
            assert change.valid_from is not None, "a change holds from a day on"
            held = change if change.valid_from <= day else held
        return held

    @property
    def least(self) -> Fraction:
        """The lowest that ever held, or is to hold."""
        return min(policy.value for policy in (self.original, *self.changes))


def history_of(session: Session, name: PolicyName) -> PolicyHistory:
    """Read all that a threshold ever was, as far as the session knows: a few rows."""
    original = original_policies()[name]
    rows = _CONFIRMED.scalars(session, name=name)
    changes = [
        replace(
            original,
            value=row.value,
            source=row.source,
            is_verified=True,
            valid_from=row.valid_from,
        )
        for row in rows
    ]
    return PolicyHistory(original, changes)


_CONFIRMED = Composed(
    sql_select(PolicyRow)
    .where(col(PolicyRow.name) == bindparam("name"), col(PolicyRow.confirmed_by).is_not(None))
    .order_by(col(PolicyRow.valid_from), col(PolicyRow.id))
)


def policy_on(session: Session, name: PolicyName, day: date) -> Policy:
    """Return the threshold that held on a day, as far as the session knows."""
    return history_of(session, name).on(day)


def propose_policy(
    session: Session,
    actor: Actor,
    name: PolicyName,
    *,
    value: Fraction,
    source: str,
    valid_from: date,
) -> PolicyRow:
    """Propose a threshold from a day on; it counts once another person confirms.

    Raises
    ------
    Invalid
        ``policy_value_wrong``.
    """
    _check_value(original_policies()[name].unit, value)
    row = PolicyRow(
        name=name,
        numerator=value.numerator,
        denominator=value.denominator,
        source=source,
        valid_from=valid_from,
        proposed_by=actor.subject,
    )
    session.add(row)
    session.flush()
    facts = {"name": name, "value": str(value), "valid_from": str(valid_from)}
    journal.record(session, actor, "policy_proposed", "policy", row.id, **facts)
    return row


def _check_value(unit: PolicyUnit, value: Fraction) -> None:
    if unit == PolicyUnit.FRACTION:
        fits, told = 0 < value <= 1, "A share is above 0, and at most 1."
    else:
        fits, told = value.denominator == 1 and value >= 0, f"It is a whole number of {unit}."
    if not fits or max(value.numerator, value.denominator) > _LARGEST:
        raise Invalid("policy_value_wrong", told, field="/value")


def confirm_policy(session: Session, actor: Actor, row_id: UUID) -> PolicyRow:
    """Let a proposed threshold hold from its day on.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``policy_confirmed``.
    """
    row = get_row(session, PolicyRow, row_id, kind="policy", lock=True)
    check_other_person(actor, row.proposed_by)
    if row.confirmed_by is not None:
        raise Conflict("policy_confirmed", "Somebody has confirmed this policy already.")
    row.confirmed_by = actor.subject
    session.flush()
    journal.record(session, actor, "policy_confirmed", "policy", row.id)
    return row


def list_policy_rows(
    session: Session,
    *,
    name: PolicyName | None = None,
    until: date | None = None,
    after: UUID | None,
    limit: int,
) -> Sequence[PolicyRow]:
    """List every row that was ever proposed, or those from a day or before it, oldest first."""
    query = select(PolicyRow)
    if until is not None:
        query = query.where(col(PolicyRow.valid_from) <= until)
    if name is not None:
        query = query.where(col(PolicyRow.name) == name)
    return session.exec(page_after(query, col(PolicyRow.id), after=after, limit=limit)).all()


def list_policies(session: Session, day: date) -> Sequence[Policy]:
    """List every threshold as it held on a day."""
    return [policy_on(session, name, day) for name in PolicyName]
