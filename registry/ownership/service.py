"""Who is behind a token, a thing or a party: people, with exact shares, and what is unknown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import Any, TypeVar
from uuid import UUID

from sqlmodel import Session

from registry.interest.models import InterestNature
from registry.ownership import guards  # noqa: F401  (a guard of valuations)
from registry.ownership.graph import (
    Graph,
    Node,
    NodeKind,
    Reason,
    When,
    load_graph,
    party_node,
)
from registry.ownership.holders import large_holders, supplies_of, units_of
from registry.ownership.solver import (
    ALL,
    NOTHING,
    Flow,
    Path,
    flow_from,
    over_one_whole,
    paths_to,
    sum_of,
)
from registry.tokenization.models import Tokenization

MOST_PATHS = 50
"""So many ways to one person are told; where there are more, their share is told with circles'."""


class Basis(StrEnum):
    """DIRECT: holds it themselves. INDIRECT: over others. CONTROL: rules over who holds it."""

    DIRECT = "DIRECT"
    INDIRECT = "INDIRECT"
    CONTROL = "CONTROL"


@dataclass(frozen=True, slots=True)
class Owner:
    """A person whose parts over all ways sum to the threshold.

    Parameters
    ----------
    paths
        The ways, largest first; the shares of those that pass nothing twice. What is missing to
        `share` flows round in circles, or along ways that are not told.
    """

    party_id: UUID
    share: Fraction
    paths: Sequence[Path[Node]]

    @property
    def untold(self) -> Fraction:
        return self.share - sum((path.share for path in self.paths), NOTHING)


@dataclass(frozen=True, slots=True)
class Controller:
    """A person who rules over somebody with a part of the threshold or more.

    Parameters
    ----------
    over
        Whom, from the one that has the part to the one next to the person.
    natures
        By what, beside each of `over`; None where they own as much of it as the threshold.
    share
        What the first of `over` has.
    """

    party_id: UUID
    over: tuple[Node, ...]
    natures: tuple[InterestNature | None, ...]
    share: Fraction


@dataclass(frozen=True, slots=True)
class Unknown:
    """A part behind which nobody is known.

    Parameters
    ----------
    node
        Where the way ends; of an UNPROVEN_WALLET the token.
    """

    node: Node
    reason: Reason
    share: Fraction
    address: bytes | None = None


Part = TypeVar("Part", Owner, Unknown)
Whose = TypeVar("Whose")
_Parts = Mapping[Node, Mapping[Whose, Fraction]]
"""To each token, parts of it by whose they are."""


@dataclass(slots=True)
class Ownership:
    """All of it: the shares of owners, of those below the threshold and of nobody known sum to 1.

    Parameters
    ----------
    below : Fraction
        What all have together whose share is below the threshold, and those who hold so little at
        addresses that nobody has proven.
    declared_on
        Of each node of whose owners a declaration speaks: the date of its paper.
    """

    owners: list[Owner]
    controllers: list[Controller]
    unknown: list[Unknown]
    below: Fraction
    declared_on: Mapping[Node, date]

    @property
    def has_nobody(self) -> bool:
        """Tell whether no person is behind it, neither by owning nor by ruling."""
        return not self.owners and not self.controllers


def who_is_behind(
    session: Session,
    start: Mapping[Node, Fraction],
    when: When,
    threshold: Fraction,
    *,
    ruled: Collection[Node] = (),
) -> Ownership:
    """Find the people behind `start`, and what they have of it.

    Parameters
    ----------
    start
        What of the whole each of them has, all of it together.
    threshold
        The share from which a person is told, above 0.
    ruled
        Whoever rules over these is told too, as over all of it: the vehicle of a token.
    """
    graph = load_graph(session, {*start, *ruled}, when)
    flow = flow_from(start, graph.owners)
    direct, unproven = _add_people(
        session, graph, _most(graph, flow, ruled, threshold), when, threshold
    )
    # What people hold themselves comes to nobody else: it is added to what comes to them.
    shares = dict(flow.ends)
    for token, held in direct.items():
        for person, part in held.items():
            came = part * flow.passing.get(token, NOTHING)
            shares[person] = shares.get(person, NOTHING) + came
    reached = [
        Owner(node.id, share, paths_to(node, start, graph.owners, most=MOST_PATHS))
        for node, share in shares.items()
        if share >= threshold
    ]
    unknown = list(_unknown(graph, flow, unproven))
    found = Ownership(
        owners=_ranked(reached, lambda owner: owner.party_id),
        controllers=list(_controllers(graph, flow, start, ruled, threshold)),
        unknown=_ranked(unknown, lambda part: (part.node, part.address or b"")),
        below=NOTHING,
        declared_on=graph.declared_on,
    )
    told = [owner.share for owner in found.owners] + [part.share for part in found.unknown]
    found.below = sum_of(start.values()) - sum_of(told)
    return found


def _ranked(parts: Sequence[Part], then: Callable[[Part], Any]) -> list[Part]:
    """Order by share, the largest first."""
    shares, _ = over_one_whole([part.share for part in parts])
    ranked = sorted(zip(shares, parts, strict=True), key=lambda each: (-each[0], then(each[1])))
    return [part for _, part in ranked]


def _add_people(
    session: Session, graph: Graph, most: _Most, when: When, threshold: Fraction
) -> tuple[_Parts[Node], _Parts[bytes]]:
    """Add the natural persons among the holders who may reach the threshold, with what they hold.

    Whoever does has half of it over others, or holds half of it themselves; and of several tokens
    one of them then gives at least an equal part of that half.

    Returns
    -------
    dict, dict
        To each token, the share of each of these people; and that of each large holding at an
        address that nobody has proven.
    """
    tokens = [(node, session.get_one(Tokenization, node.id)) for node in graph.tokens]
    found = supplies_of(session, [token for _, token in tokens], when.block)
    supplies = {node: found[node.id] for node, _ in tokens}
    half = threshold / 2
    people = {
        node.id for node, share in most.coming.items() if share >= half and node in graph.people
    }
    unproven: dict[Node, Mapping[bytes, Fraction]] = {}
    for node, token in tokens:
        least = threshold * supplies[node] / (len(tokens) * most.passing.get(node, ALL))
        large = large_holders(session, token, when.block, ceil(least / 2))
        people |= large.people
        unproven[node] = {
            address: Fraction(units, supplies[node])
            for address, units in large.unproven.items()
            if units >= least
        }
    people -= {node.id for node in graph.owners}
    graph.people |= {party_node(each) for each in people}
    direct: dict[Node, Mapping[Node, Fraction]] = {}
    for node, token in tokens:
        direct[node] = {
            party_node(party_id): Fraction(units, supplies[node])
            for party_id, units in units_of(session, token, when.block, people).items()
        }
        graph.owners[node] |= direct[node]
    return direct, unproven


@dataclass(frozen=True, slots=True)
class _Most:
    """The most of the beginning, or of whoever rules there, that is passed on, or comes to an end.

    Parameters
    ----------
    passing
        By who passes it on; nothing where no token comes after anybody, so that none has more than
        all of the beginning.
    coming
        By whom it comes to over others.
    """

    passing: Mapping[Node, Fraction]
    coming: Mapping[Node, Fraction]


def _most(graph: Graph, flow: Flow[Node], ruled: Collection[Node], threshold: Fraction) -> _Most:
    after = {owner for parts in graph.owners.values() for owner in parts}
    if after.isdisjoint(graph.tokens):
        return _Most({}, flow.ends)
    passing, coming = dict(flow.passing), dict(flow.ends)
    ahead = [node for node in graph.rulers if node in ruled or _may_have(node, passing, threshold)]
    seen: set[Node] = set()
    while ahead:
        for ruler in graph.rulers.get(ahead.pop(), ()):
            node = party_node(ruler.party_id)
            if node in seen or node not in graph.owners:
                continue
            seen.add(node)
            ahead.append(node)
            theirs = flow_from({node: ALL}, graph.owners)
            for known, found in ((passing, theirs.passing), (coming, theirs.ends)):
                for each, share in found.items():
                    known[each] = max(known.get(each, NOTHING), share)
    return _Most(passing, coming)


def _may_have(node: Node, passing: Mapping[Node, Fraction], threshold: Fraction) -> bool:
    """Tell whether a party may have the threshold: what comes to it in all rounds is no less."""
    share = passing.get(node, NOTHING)
    beside = passing.get(Node(NodeKind.VEHICLE, node.id))
    return (share if beside is None else share + beside) >= threshold


def _unknown(
    graph: Graph, flow: Flow[Node], unproven: Mapping[Node, Mapping[bytes, Fraction]]
) -> Iterator[Unknown]:
    for node, share in flow.circular.items():
        yield Unknown(node, Reason.CIRCULAR, share)
    for node, share in flow.undeclared.items():
        if node.kind != NodeKind.TOKEN:
            yield Unknown(node, graph.reason(node), share)
    for node, holdings in unproven.items():
        for address, part in holdings.items():
            if node in flow.passing:
                share = part * flow.passing[node]
                yield Unknown(node, Reason.UNPROVEN_WALLET, share, address)


def _controllers(
    graph: Graph,
    flow: Flow[Node],
    start: Mapping[Node, Fraction],
    ruled: Collection[Node],
    threshold: Fraction,
) -> Iterator[Controller]:
    """Find who rules over those that have the threshold of it, over any number of others."""
    large: dict[Node, Fraction] = {node: ALL for node in ruled if graph.rulers.get(node)}
    for node, rulers in graph.rulers.items():
        if rulers and node not in large and _may_have(node, flow.passing, threshold):
            large[node] = _coming_to(node, graph, start)
    for node, share in sorted(large.items()):
        told: set[UUID] = set()
        for found in _ruling(graph, (node,), (), threshold) if share >= threshold else ():
            if found.party_id not in told:
                told.add(found.party_id)
                yield Controller(found.party_id, found.over, found.natures, share)


def _coming_to(node: Node, graph: Graph, start: Mapping[Node, Fraction]) -> Fraction:
    """Return what of the beginning is a party's, before it is anybody's behind it."""
    stops = (node, Node(NodeKind.VEHICLE, node.id))
    owners = {each: parts for each, parts in graph.owners.items() if each not in stops}
    ends = flow_from(start, owners).ends
    return sum((ends.get(each, NOTHING) for each in stops), NOTHING)


@dataclass(frozen=True, slots=True)
class _Ruling:
    party_id: UUID
    over: tuple[Node, ...]
    natures: tuple[InterestNature | None, ...] = field(default=())


def _ruling(
    graph: Graph,
    over: tuple[Node, ...],
    natures: tuple[InterestNature | None, ...],
    threshold: Fraction,
) -> Iterator[_Ruling]:
    """Find the people who rule over the last of `over`: themselves, or over who does."""
    ahead = [(over, natures)]
    while ahead:
        over, natures = ahead.pop()
        for ruler in graph.rulers.get(over[-1], ()):
            node, by = party_node(ruler.party_id), (*natures, ruler.nature)
            if node in graph.people:
                yield _Ruling(ruler.party_id, over, by)
            elif node not in over:
                for owner in _owning(graph, node, threshold):
                    yield _Ruling(owner, (*over, node), (*by, None))
                ahead.append(((*over, node), by))


def _owning(graph: Graph, node: Node, threshold: Fraction) -> Iterable[UUID]:
    """List the people who own at least the threshold of a party; of a group, everybody in it.

    Whoever holds a little of a token of one of these is not in the group by that.
    """
    ends = flow_from({node: ALL}, graph.owners).ends
    owning = {each for each, share in ends.items() if share >= threshold}
    if node in graph.groups:
        parties = {each: of for each, of in graph.owners.items() if each.kind != NodeKind.TOKEN}
        owning |= graph.people & flow_from({node: ALL}, parties).ends.keys()
    return sorted(each.id for each in owning)
