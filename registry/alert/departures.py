"""Who bought a holding and gave it away by itself a short time after, also within one block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import Any

from sqlmodel import Session

from registry.alert.policy import AlertPolicies, AlertPolicy
from registry.alert.steps import Span, Step, Subject, Touched
from registry.captable.bulk import cursor_of
from registry.captable.models import EventKind

_EARLIER = """
SELECT h.holder_no, h.block_number, b.mined_at, h.balance_units
FROM balance_history h
JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = h.block_number
WHERE h.token_no = %(token)s AND h.holder_no = ANY(%(holders)s) AND h.block_number <= %(after)s
ORDER BY h.block_number
"""
# How a subject's units went up and down within blocks that changed them: few, and found by number.
_WITHIN = f"""
SELECT block_number, source, target, units FROM token_event
WHERE token_no = %(token)s AND block_number = ANY(%(blocks)s) AND kind = {EventKind.TRANSFER:d}
  AND (source = ANY(%(holders)s) OR target = ANY(%(holders)s))
ORDER BY block_number, log_index
"""  # noqa: S608 - a number of our own


@dataclass(frozen=True, slots=True)
class _Level:
    """What a subject had from a moment on."""

    since: datetime
    block_number: int
    units: int


def departures_of(  # noqa: PLR0917
    session: Session,
    span: Span,
    token: Touched,
    subject: Subject,
    steps: Sequence[Step],
    policies: AlertPolicies,
) -> Iterator[tuple[Step, dict[str, Any]]]:
    """Give where a subject gave away by itself what it had bought a short time before, or at once.

    Each comes with what is evidence of it.
    """
    past: _Past | None = None
    for place, step in enumerate(steps):
        policy = policies.at(step.mined_at)
        least = ceil(policy.rapid_least_share * token.declared)
        # A step that ends above what would be left of the smallest holding may still be a
        # departure from a larger one; one that is never above it can be none.
        floor = ceil(policy.rapid_left_share * least)
        if not step.has_given or step.after >= step.most or step.most < floor:
            continue
        # Whoever keeps more than what would be left of all that there is (TOK-02) keeps too much
        # of whatever it had: the past, which is long of who trades all the time, is not read.
        if step.after > policy.rapid_left_share * token.declared:
            continue
        if past is None:
            opened = min(each.mined_at for each in steps) - policy.rapid_window
            past = _Past(session, token, subject, _ends(session, span, token, subject), opened)
        since = [level for each in steps[:place] for level in _levels_of(each)]
        if _is_ruled_out([*past.ends, *since], step, token, policy):
            continue
        gone = _departure([*past.levels, *since], step, least, policy)
        if gone is not None:
            yield step, gone


def _levels_of(step: Step) -> Iterator[_Level]:
    """Give what a block left, and before that the most within it; nothing where it left the same.

    What came and went in one block is told with that block, and is no holding of later ones.
    """
    if step.after != step.before:
        yield _Level(step.mined_at, step.block_number, step.peak)
        yield _Level(step.mined_at, step.block_number, step.after)


@dataclass(frozen=True, slots=True)
class _Had:
    """What a subject had in the days before a step.

    Parameters
    ----------
    inside
        From when they began, in their order.
    at_first
        When they began.
    """

    inside: Sequence[_Level]
    at_first: int

    @property
    def most(self) -> int:
        return max(level.units for level in self.inside)


def _had(levels: Sequence[_Level], step: Step, policy: AlertPolicy) -> _Had:
    opened = step.mined_at - policy.rapid_window
    own = _Level(step.mined_at, step.block_number, step.peak)
    inside = [*(level for level in levels if level.since > opened), own]
    outside = [level for level in levels if level.since <= opened]
    return _Had(inside, outside[-1].units if outside else 0)


def _is_ruled_out(ends: Sequence[_Level], step: Step, token: Touched, policy: AlertPolicy) -> bool:
    """Tell whether no more that it had within blocks could make the step a departure.

    What blocks left says what it had at first, and of the most no more than that it was not less.
    Of a departure what may be kept lies from what it had at first up to below what it had last.
    """
    had = _had(ends, step, policy)
    left = policy.rapid_left_share
    return (
        step.most <= left * had.most
        or had.at_first >= step.most
        or had.at_first > left * token.declared
    )


def _departure(
    levels: Sequence[_Level], step: Step, least: int, policy: AlertPolicy
) -> dict[str, Any] | None:
    had = _had(levels, step, policy)
    most = had.most
    kept: Fraction = policy.rapid_left_share * most
    if most < least or had.at_first > kept or step.after > kept or step.most <= kept:
        return None
    bought = next(level for level in had.inside if level.units > kept)
    return {
        "bought_at": bought.since.isoformat(),
        "bought_in_block": str(bought.block_number),
        "most_units": str(most),
        "days": policy.rapid_window.days,
    }


@dataclass
class _Past:
    """What a subject had in all its wallets together before the round.

    Parameters
    ----------
    ends
        What each block left that changed it.
    opened
        From when on the most within a block counts.
    """

    session: Session
    token: Touched
    subject: Subject
    ends: Sequence[_Level]
    opened: datetime

    @cached_property
    def levels(self) -> Sequence[_Level]:
        """What it had within blocks besides: of these every event of the token is read."""
        blocks = [end.block_number for end in self.ends if end.since > self.opened]
        rises = _rises(self.session, self.token, self.subject, blocks)
        levels: list[_Level] = []
        before = 0
        for end in self.ends:
            # As `_levels_of` has it.
            if end.block_number in rises:
                levels.append(replace(end, units=before + rises[end.block_number]))
            levels.append(end)
            before = end.units
        return levels


def _ends(session: Session, span: Span, token: Touched, subject: Subject) -> list[_Level]:
    """Give what each block before the round left the subject that left it more or less."""
    values = {
        "chain": span.chain_id,
        "token": token.token_no,
        "after": span.after,
        "holders": list(subject.begun),
    }
    has: dict[int, int] = {}
    ends: list[_Level] = []
    with cursor_of(session) as cursor:
        for holder_no, number, mined_at, units in cursor.execute(_EARLIER, values):
            has[holder_no] = int(units)
            if ends and ends[-1].block_number == number:
                ends.pop()
            ends.append(_Level(mined_at, number, sum(has.values())))
    before = [0, *(end.units for end in ends)]
    return [end for end, units in zip(ends, before, strict=False) if end.units != units]


def _rises(
    session: Session, token: Touched, subject: Subject, blocks: Sequence[int]
) -> Mapping[int, int]:
    """Give by how much a subject had more within each block than before it, at most."""
    mine = subject.begun.keys()
    values = {"token": token.token_no, "blocks": blocks, "holders": list(mine)}
    more: Counter[int] = Counter()
    rises: dict[int, int] = {}
    with cursor_of(session) as cursor:
        for number, source, target, units in cursor.execute(_WITHIN, values):
            if source in mine and target in mine:
                continue
            more[number] += int(units) if target in mine else -int(units)
            rises[number] = max(rises.get(number, more[number]), more[number])
    return rises
