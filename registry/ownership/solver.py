"""Who is behind what, exactly: every path multiplied, all of them summed, circles to their limit.

A graph of owners: each company, trust, group or token has parts in the hands of others, who may
again have owners. What is owned flows to the people at the end. Where A owns half of B, and B a
fifth of A, it flows round for ever; the sum of all rounds is the solution of a linear system,
and that is what is reckoned, over fractions. What nobody is known to have is unknown, and so is
what never leaves a circle: everything that flows in comes out somewhere, so the sum is the whole.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from heapq import heappop, heappush
from itertools import count
from math import lcm
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)
Parts = Mapping[Node, Fraction]
NOTHING, ALL = Fraction(0), Fraction(1)
EVER = datetime.min.replace(tzinfo=UTC)
"""Of a step of which nobody says when it began."""
_STEPS = 100
"""For each way that is looked for."""


@dataclass(slots=True)
class Flow(Generic[Node]):
    """Where what is owned ends.

    Parameters
    ----------
    ends : dict
        To each end, of which the graph says no owners: what of the beginning is theirs.
    undeclared : dict
        To each node: what comes to it, and of which nobody is known to be the owner.
    circular : dict
        To each node of a circle that nobody owns from outside: what comes into it there.
    passing : dict
        To each node that has owners: what comes to it over all paths, each round of a circle
        counted.
    """

    ends: dict[Node, Fraction] = field(default_factory=dict)
    undeclared: dict[Node, Fraction] = field(default_factory=dict)
    circular: dict[Node, Fraction] = field(default_factory=dict)
    passing: dict[Node, Fraction] = field(default_factory=dict)

    @property
    def total(self) -> Fraction:
        parts = (self.ends, self.undeclared, self.circular)
        return sum((share for each in parts for share in each.values()), NOTHING)


def flow_from(start: Parts[Node], owners: Mapping[Node, Parts[Node]]) -> Flow[Node]:
    """Follow what is owned from `start` to the ends.

    Parameters
    ----------
    start
        What of the whole each node has; at most all of it.
    owners
        To each node that can have owners: their parts of it, each above 0, at most all together.
        A node that is not named here is an end.
    """
    number, parts = _numbered(start, owners)
    found = _flow_from({number[node]: share for node, share in start.items()}, parts)
    nodes = list(number)

    def named(shares: Mapping[int, _Ratio]) -> dict[Node, Fraction]:
        return {nodes[place]: Fraction(*share) for place, share in shares.items()}

    return Flow(
        named(found.ends), named(found.undeclared), named(found.circular), named(found.passing)
    )


def _numbered(
    start: Parts[Node], owners: Mapping[Node, Parts[Node]]
) -> tuple[dict[Node, int], dict[int, dict[int, Fraction]]]:
    """Give each node that can be reached a number, and who owns what by numbers.

    A node is looked up twenty times on the way; Python takes long for an id, not for a number.
    """
    number = {node: place for place, node in enumerate(start)}
    nodes = list(start)
    parts: dict[int, dict[int, Fraction]] = {}
    for place, node in enumerate(nodes):
        if node not in owners:
            continue
        parts[place] = mine = {}
        for owner, part in owners[node].items():
            at = number.setdefault(owner, len(nodes))
            if at == len(nodes):
                nodes.append(owner)
            mine[at] = part
    return number, parts


_Ratio = tuple[int, int]
"""Numerator and denominator, not reduced: to reduce after each step takes most of the time."""


@dataclass(slots=True)
class _Found:
    """As `Flow`, by numbers."""

    ends: dict[int, _Ratio] = field(default_factory=dict)
    undeclared: dict[int, _Ratio] = field(default_factory=dict)
    circular: dict[int, _Ratio] = field(default_factory=dict)
    passing: dict[int, _Ratio] = field(default_factory=dict)


def _flow_from(start: Parts[int], owners: Mapping[int, Parts[int]]) -> _Found:
    flow = _Found()
    coming = {node: share.as_integer_ratio() for node, share in start.items()}
    for circle in _in_order(start, owners):
        inside = {node: coming.pop(node, (0, 1)) for node in circle}
        if circle[0] not in owners:
            flow.ends[circle[0]] = inside[circle[0]]
            continue
        if len(circle) == 1 and circle[0] not in owners[circle[0]]:
            # Nearly all are: nothing comes back to them.
            flow.passing |= inside
        elif _is_closed(circle, owners):
            flow.circular |= {node: share for node, share in inside.items() if share[0]}
            continue
        else:
            entering = {node: Fraction(*share) for node, share in inside.items()}
            passing = _passing(entering, owners).items()
            flow.passing |= {node: share.as_integer_ratio() for node, share in passing}
        for node in circle:
            units, of = flow.passing[node]
            parts, whole = over_one_whole(owners[node].values())
            of *= whole
            for owner, part in zip(owners[node], parts, strict=True):
                if owner not in inside:
                    coming[owner] = _added(coming.get(owner), (units * part, of))
            left = units * (whole - sum(parts))
            if left:
                flow.undeclared[node] = (left, of)
    return flow


def _added(known: _Ratio | None, more: _Ratio) -> _Ratio:
    if known is None:
        return more
    (one, of), (other, of_other) = known, more
    if of == of_other:
        return one + other, of
    whole = lcm(of, of_other)
    return one * (whole // of) + other * (whole // of_other), whole


def over_one_whole(parts: Collection[Fraction]) -> tuple[list[int], int]:
    """Write fractions over one denominator: so they are added, and compared, ten times as quickly.

    Returns
    -------
    list of int, int
        Their numerators, in order, and the denominator.
    """
    whole = lcm(*(part.denominator for part in parts))
    return [part.numerator * (whole // part.denominator) for part in parts], whole


def sum_of(parts: Collection[Fraction]) -> Fraction:
    numerators, whole = over_one_whole(parts)
    return Fraction(sum(numerators), whole)


def _is_closed(circle: Collection[Node], owners: Mapping[Node, Parts[Node]]) -> bool:
    """Tell whether all of these nodes is owned by themselves: nothing flows out."""
    members = set(circle)
    return all(
        members.issuperset(owners[node]) and sum_of(owners[node].values()) == ALL for node in circle
    )


def _passing(inside: Parts[Node], owners: Mapping[Node, Parts[Node]]) -> dict[Node, Fraction]:
    """Return how much comes to each node of one circle, over all rounds.

    To each comes what enters there, and its part of what comes to each of the others.
    """
    terms: dict[Node, dict[Node, Fraction]] = {node: {} for node in inside}
    for node in inside:
        for owner, part in owners[node].items():
            if owner in terms:
                terms[owner][node] = part
    return _solved(terms, inside)


def _solved(equations: Mapping[Node, Parts[Node]], constants: Parts[Node]) -> dict[Node, Fraction]:
    """Solve x = constant + the sum of the terms, for every x of one circle from which some flows.

    One unknown after the other is put into the equations of the rest; since some flows out, none
    of them is its own whole.
    """
    rows = {node: dict(terms) for node, terms in equations.items()}
    known = dict(constants)
    solved: list[tuple[Node, dict[Node, Fraction]]] = []
    while rows:
        # The shortest equation first, so that few others grow.
        node = min(rows, key=lambda each: len(rows[each]))
        terms = rows.pop(node)
        scale = ALL / (ALL - terms.pop(node, NOTHING))
        known[node] *= scale
        terms = {other: part * scale for other, part in terms.items()}
        solved.append((node, terms))
        for other, equation in rows.items():
            factor = equation.pop(node, NOTHING)
            if not factor:
                continue
            known[other] += factor * known[node]
            for term, part in terms.items():
                equation[term] = equation.get(term, NOTHING) + factor * part
    found: dict[Node, Fraction] = {}
    for node, terms in reversed(solved):
        rest = (part * found[other] for other, part in terms.items())
        found[node] = known[node] + sum(rest, NOTHING)
    return found


def _in_order(start: Collection[Node], owners: Mapping[Node, Parts[Node]]) -> list[list[Node]]:
    """List the circles that can be reached, a node alone being one, owned before owning.

    Tarjan's algorithm, which finds them the other way round; without recursion, since a chain of
    companies may be longer than Python's stack.
    """
    seen_at: dict[Node, int] = {}
    lowest: dict[Node, int] = {}
    open_nodes: list[Node] = []
    is_open: set[Node] = set()
    circles: list[list[Node]] = []

    def enter(node: Node) -> tuple[Node, Iterator[Node]]:
        seen_at[node] = lowest[node] = len(seen_at)
        open_nodes.append(node)
        is_open.add(node)
        return node, iter(owners.get(node, {}))

    for first in start:
        stack = [] if first in seen_at else [enter(first)]
        while stack:
            node, ahead = stack[-1]
            for owner in ahead:
                if owner not in seen_at:
                    stack.append(enter(owner))
                    break
                if owner in is_open:
                    lowest[node] = min(lowest[node], seen_at[owner])
            else:
                stack.pop()
                if stack:
                    lowest[stack[-1][0]] = min(lowest[stack[-1][0]], lowest[node])
                if lowest[node] == seen_at[node]:
                    circle = [open_nodes.pop()]
                    while circle[-1] != node:
                        circle.append(open_nodes.pop())
                    is_open.difference_update(circle)
                    circles.append(circle)
    return circles[::-1]


@dataclass(frozen=True, slots=True)
class Path(Generic[Node]):
    """One way from the beginning to an end that passes no node twice, and what goes along it."""

    nodes: tuple[Node, ...]
    share: Fraction


def paths_to(
    end: Node, start: Parts[Node], owners: Mapping[Node, Parts[Node]], *, most: int
) -> list[Path[Node]]:
    """List ways to an end, at most so many; what flows round in circles is in none of them.

    Of many the larger first, as far as one step tells. Where most ways lead back to where they
    came from, the search ends before all are found.
    """
    behind = _leading_to(end, owners)
    found: list[Path[Node]] = []
    stack = [Path((node,), share) for node, share in start.items() if node in behind]
    stack.sort(key=lambda each: each.share)
    for _ in range(_STEPS * most):
        if not stack or len(found) == most:
            break
        path = stack.pop()
        last = path.nodes[-1]
        if last == end:
            found.append(path)
            continue
        ahead = [
            Path((*path.nodes, owner), path.share * part)
            for owner, part in owners[last].items()
            if owner in behind and owner not in path.nodes
        ]
        stack.extend(sorted(ahead, key=lambda each: each.share))
    return sorted(found, key=lambda path: -path.share)


def _leading_to(end: Node, owners: Mapping[Node, Parts[Node]]) -> set[Node]:
    """Return the end and every node of which it has a part, however far away."""
    owned = _owned_by(owners)
    found, ahead = {end}, [end]
    while ahead:
        for node in owned.get(ahead.pop(), ()):
            if node not in found:
                found.add(node)
                ahead.append(node)
    return found


def _owned_by(owners: Mapping[Node, Parts[Node]]) -> Mapping[Node, list[Node]]:
    owned: dict[Node, list[Node]] = {}
    for node, parts in owners.items():
        for owner in parts:
            owned.setdefault(owner, []).append(node)
    return owned


def ways_since(
    end: Node, owners: Mapping[Node, Parts[Node]], steps: Mapping[tuple[Node, Node], datetime]
) -> dict[Node, datetime]:
    """Return since when there has been a way from each node to that end, each step of which stands.

    Parameters
    ----------
    steps
        To a node and an owner of it: since when it is theirs. A way began with its last step.
    """
    owned = _owned_by(owners)
    found: dict[Node, datetime] = {}
    places = count()
    ahead = [(EVER, next(places), end)]
    while ahead:
        since, _, owner = heappop(ahead)
        if owner in found:
            continue
        found[owner] = since
        for node in owned.get(owner, ()):
            began = max(since, steps.get((node, owner), EVER))
            heappush(ahead, (began, next(places), node))
    return found


def parts_of(end: Node, owners: Mapping[Node, Parts[Node]]) -> dict[Node, Fraction]:
    """Return what of each node is in the end that person's, whichever node one begins with.

    Asked the other way round than `flow_from`: for all that one person is behind.
    """
    behind = _leading_to(end, owners) - {end}
    found: dict[Node, Fraction] = {end: ALL}
    for circle in reversed(_in_order(behind, owners)):
        terms: dict[Node, dict[Node, Fraction]] = {}
        constants: dict[Node, Fraction] = {}
        members = behind.intersection(circle)
        for node in members:
            parts = owners[node]
            terms[node] = {owner: part for owner, part in parts.items() if owner in members}
            beyond = (parts[owner] * found[owner] for owner in parts if owner in found)
            constants[node] = sum(beyond, NOTHING)
        found |= _solved(terms, constants)
    return found
