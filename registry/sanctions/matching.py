"""How alike a person and an entry of a list are, in points of 100."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from rapidfuzz import fuzz, process
from rapidfuzz.distance import JaroWinkler

from registry.sanctions.names import Name, Token, read_name
from registry.sanctions.policy import ScreeningPolicy

SAME_SOUND = 0.94
"""Of two tokens with the same consonants, written otherwise."""
ACROSS_SCRIPTS = 0.96
_SOUND_ALIKE = 0.5
"""As alike as texts must be where their consonants are the same: not every vowel may differ."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One name of an entry of a list, and what else is known of the entry."""

    entry_id: UUID
    name: Name
    is_weak: bool
    births: tuple[tuple[int, int], ...]
    nationalities: frozenset[str]


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is looked for: their names in any script, the year of birth and the nationality."""

    names: tuple[str, ...]
    birth_year: int | None = None
    nationality: str | None = None


@dataclass(slots=True)
class Index:
    """Every name of a list, read once."""

    listed: Sequence[Listed]
    policy: ScreeningPolicy
    _skeletons: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._skeletons = [row.name.skeleton for row in self.listed]

    def matches(self, subject: Subject) -> dict[UUID, int]:
        """Return the entries that reach the threshold, each with its best score."""
        best: dict[UUID, int] = {}
        for text in subject.names:
            name = read_name(text)
            for row in self._candidates(name):
                score = score_of(name, subject, row, self.policy)
                if score >= self.policy.threshold and score > best.get(row.entry_id, 0):
                    best[row.entry_id] = score
        return best

    def _candidates(self, name: Name) -> Iterator[Listed]:
        found = process.extract_iter(
            name.skeleton,
            self._skeletons,
            scorer=fuzz.token_set_ratio,
            score_cutoff=self.policy.candidate_threshold,
        )
        for _, _, position in found:
            yield self.listed[position]


def score_of(name: Name, subject: Subject, listed: Listed, policy: ScreeningPolicy) -> int:
    """Return the points of one name of a subject against one name of a list."""
    points = name_points(name, listed.name, policy)
    if points == 0:
        return 0
    if listed.is_weak:
        points += policy.weak_alias
    if subject.birth_year is not None and listed.births:
        near = any(
            first - policy.birth_year_tolerance
            <= subject.birth_year
            <= last + policy.birth_year_tolerance
            for first, last in listed.births
        )
        points += policy.birth_agrees if near else policy.birth_differs
    if subject.nationality is not None and listed.nationalities:
        same = subject.nationality in listed.nationalities
        points += policy.nationality_agrees if same else policy.nationality_differs
    return max(0, min(100, round(points)))


def name_points(one: Name, other: Name, policy: ScreeningPolicy) -> float:
    """Return how alike two names are, whatever the order of their parts.

    A single part is no name of many: there it must be the whole of both.
    """
    short, long = sorted((one.tokens, other.tokens), key=len)
    if not short or (len(short) == 1 and len(long) > 1):
        return 0.0
    left = list(long)
    total = weight = 0.0
    for token in sorted(short, key=lambda token: -len(token.skeleton)):
        likest = max(left, key=lambda rest: _alike(token, rest))
        left.remove(likest)
        counts = policy.common_weight if _is_common(token, policy) else 1.0
        total += _alike(token, likest) * counts
        weight += counts
    missing = sum(
        policy.missing_common if _is_common(token, policy) else policy.missing_rare
        for token in left
    )
    return max(0.0, 100 * total / weight + missing)


def _is_common(token: Token, policy: ScreeningPolicy) -> bool:
    return token.skeleton in policy.common_names


def _alike(one: Token, other: Token) -> float:
    if one.is_latin != other.is_latin:
        return ACROSS_SCRIPTS * fuzz.ratio(one.skeleton, other.skeleton) / 100
    spelled = JaroWinkler.similarity(one.text, other.text)
    sounds_same = one.skeleton == other.skeleton and spelled >= _SOUND_ALIKE
    return max(spelled, SAME_SOUND) if sounds_same else spelled * spelled
