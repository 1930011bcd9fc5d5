"""Rounds of reconciliation that nobody asks for: of each token when it moved, and every day.

Register and chain are not read at one moment: what a round finds may be a projection that is a
block behind. So a difference opens its break when a later round still finds it. What was found is
remembered here only; after a start it is found anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from time import monotonic
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlmodel import Session

from registry.kernel.db import Database
from registry.kernel.errors import RegistryError
from registry.reconciliation.checks import CHECKS
from registry.reconciliation.opening import open_breaks
from registry.reconciliation.views import Difference, look_at

log = structlog.get_logger()

QUICK = ("TOK-02", "ORD-01")
"""Asked whenever a token has moved: they need not look at its holders."""
DAILY = ("TOK-02", "TOK-03", "TOK-07", "ORD-01", "REG-01")
"""TOK-07 has an alarm of its own besides (`chain.sync.watch`), which looks at new blocks only: what
is read late is found here at the latest. TOK-08 has one in `chain.proving`."""
DAY = timedelta(hours=24)
SETTLING = timedelta(seconds=60)
"""By so much register and chain may be apart."""
TOKENS_AT_ONCE = 20

# By the newest block of each token's events: one look into their index.
_TOKENS = """
SELECT z.id, (SELECT e.block_number FROM token_event e WHERE e.token_no = t.token_no
              ORDER BY e.block_number DESC LIMIT 1)
FROM tokenization z JOIN token t ON t.address = z.token_address AND t.chain_id = :chain
WHERE t.refusal IS NULL AND t.caught_up_to IS NULL
ORDER BY z.id
"""

Key = tuple[UUID, str, str]
"""A token, a rule, and what differs."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """When a token was asked of, and up to which block it was looked at.

    Parameters
    ----------
    whole_at
        When it was looked at by all rules of the day.
    """

    block: int | None
    at: float
    whole_at: float


_NEVER = _Looked(None, float("-inf"), float("-inf"))


@dataclass(frozen=True, slots=True)
class _Due:
    """A token that is to be looked at, with its newest block, and by which rules."""

    token: UUID
    block: int | None
    rules: Sequence[str]


@dataclass(slots=True)
class Rounds:
    """What one program has looked at.

    Parameters
    ----------
    settling
        How long a difference must last.
    at_once
        Tokens of one turn.
    """

    database: Database
    chain_id: int
    settling: timedelta = SETTLING
    at_once: int = TOKENS_AT_ONCE
    _looked: dict[UUID, _Looked] = field(default_factory=dict)
    _seen: dict[Key, float] = field(default_factory=dict)
    _told: set[Key] = field(default_factory=set)

    def turn(self) -> int:
        """Look at some of the tokens that are due, and return how many breaks were opened."""
        with self.database.reading() as session:
            due = self._due(session)
        return sum(self._look(each) for each in due)

    def _due(self, session: Session) -> Sequence[_Due]:
        """Give those that moved, or differ since a moment, and those whose day is over.

        Of each, who waits longest comes first; half of a turn is kept for the day, so that neither
        tokens that move all the time nor many that are new keep others from being looked at. A
        difference that has its break is asked no more often for it: it may stay for ever.
        """
        waiting = {token for token, _, _ in self._seen.keys() - self._told}
        moved: list[_Due] = []
        daily: list[_Due] = []
        for token, block in session.execute(text(_TOKENS), {"chain": self.chain_id}):
            looked = self._looked.get(token, _NEVER)
            if token in waiting:
                moved.append(_Due(token, block, DAILY))
            elif monotonic() - looked.whole_at >= DAY.total_seconds():
                daily.append(_Due(token, block, DAILY))
            elif block != looked.block:
                moved.append(_Due(token, block, QUICK))
        moved.sort(key=self._looked_at)
        daily.sort(key=self._looked_at)
        of_the_day = max((self.at_once + 1) // 2, self.at_once - len(moved))
        chosen = daily[:of_the_day]
        return [*moved[: self.at_once - len(chosen)], *chosen]

    def _looked_at(self, due: _Due) -> float:
        return self._looked.get(due.token, _NEVER).at

    def _look(self, due: _Due) -> int:
        token, at = due.token, monotonic()
        # What cannot be looked at stays due, behind all others.
        looked = replace(self._looked.get(token, _NEVER), at=at)
        self._looked[token] = looked
        try:
            found = self._ask(token, due.rules)
        except RegistryError as refusal:
            log.warning("reconciliation_refused", token=str(token), code=refusal.code)
            return 0
        whole_at = at if due.rules is DAILY else looked.whole_at
        self._looked[token] = _Looked(due.block, at, whole_at)
        return self._open(due, found)

    def _open(self, due: _Due, found: Mapping[Key, Difference]) -> int:
        token, rules = due.token, due.rules
        lasting = self._lasting(token, rules, found)
        if not lasting:
            return 0
        with self.database.transaction() as session:
            opened = open_breaks(session, token, lasting)
        if rules is DAILY:  # else it is asked everything once more
            self._told.update((token, item.rule, item.subject) for item in lasting)
        for item in opened:
            log.error(
                "register_differs",
                token=str(token),
                reconciliation_break=str(item.id),
                rule=item.rule,
                place=item.subject,
            )
        return len(opened)

    def _ask(self, token: UUID, rules: Sequence[str]) -> Mapping[Key, Difference]:
        with self.database.reading() as session:
            view = look_at(session, token)
            return {
                (token, item.rule, item.subject): item
                for rule in rules
                for item in CHECKS[rule](session, view)
            }

    def _lasting(
        self, token: UUID, rules: Sequence[str], found: Mapping[Key, Difference]
    ) -> Sequence[Difference]:
        """Return what was found so long ago that it is no matter of a moment."""
        gone = [
            key for key in self._seen if key[0] == token and key[1] in rules and key not in found
        ]
        for key in gone:
            del self._seen[key]
            self._told.discard(key)
        lasting = []
        for key, item in found.items():
            since = self._seen.setdefault(key, monotonic())
            if monotonic() - since >= self.settling.total_seconds():
                lasting.append(item)
        return lasting
