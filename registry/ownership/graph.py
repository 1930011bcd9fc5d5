"""The owners of parties and tokens at a time, loaded layer by layer, each layer as a set."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, case, func
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, or_, select

from registry.captable.blocks import AsOfBlock
from registry.interest.models import OWNING, InterestNature
from registry.interest.service import stated_in_force
from registry.kernel.reading import Composed
from registry.kernel.rows import among, among_named
from registry.ownership.holders import entities_of, supplies_of, supply_of
from registry.party.models import Party, PartyKind
from registry.title.models import Title, TitleShare, TitleState, TitleVersion
from registry.tokenization.models import Tokenization
from registry.wrapper.models import Wrapper


class NodeKind(StrEnum):
    """What stands in the graph.

    A TOKEN, by its tokenization, is what its holders own. VEHICLE is what a wrapper keeps beside
    what it has tokenized: the owners of the company itself, by its party.
    """

    PARTY = "PARTY"
    TOKEN = "TOKEN"  # noqa: S105 - a token of a chain, no password
    VEHICLE = "VEHICLE"


class Node(NamedTuple):
    kind: NodeKind
    id: UUID


class Reason(StrEnum):
    """Why nobody is known behind a part.

    UNDECLARED: no confirmed declaration speaks of it. CIRCULAR: companies that own one another,
    and nobody else owns any of them. SEVERAL_ASSETS: a vehicle of several things, whose parts of
    its worth nobody has said. NO_TITLE: land that is a party, and had no owner at that time.
    UNPROVEN_WALLET: units at an address that no investor has proven.
    """

    UNDECLARED = "UNDECLARED"
    CIRCULAR = "CIRCULAR"
    SEVERAL_ASSETS = "SEVERAL_ASSETS"
    NO_TITLE = "NO_TITLE"
    UNPROVEN_WALLET = "UNPROVEN_WALLET"


@dataclass(frozen=True, slots=True)
class When:
    """Of which moment the answer is.

    Parameters
    ----------
    as_of
        In law. What the register knew is what the session knows (`known_at`).
    block
        Of the chain; None where it has not been read, so that nobody holds any token.
    """

    as_of: datetime
    block: AsOfBlock | None


@dataclass(frozen=True, slots=True)
class Ruler:
    """Somebody who rules over a legal person without owning it by that."""

    nature: InterestNature
    party_id: UUID


@dataclass(slots=True)
class Graph:
    """Who owns what, in parts, and who rules over whom.

    Parameters
    ----------
    declared_on
        Of each node of whose owners a declaration speaks: the date of its paper.
    gaps
        Why nobody is known behind a node's missing part, where it is not UNDECLARED.
    """

    owners: dict[Node, dict[Node, Fraction]] = field(default_factory=dict)
    rulers: dict[Node, list[Ruler]] = field(default_factory=dict)
    declared_on: dict[Node, date] = field(default_factory=dict)
    gaps: dict[Node, Reason] = field(default_factory=dict)
    people: set[Node] = field(default_factory=set)
    groups: set[Node] = field(default_factory=set)

    @property
    def tokens(self) -> list[Node]:
        return sorted(node for node in self.owners if node.kind == NodeKind.TOKEN)

    def reason(self, node: Node) -> Reason:
        return self.gaps.get(node, Reason.UNDECLARED)


def party_node(party_id: UUID) -> Node:
    return Node(NodeKind.PARTY, party_id)


def token_node(tokenization_id: UUID) -> Node:
    return Node(NodeKind.TOKEN, tokenization_id)


def load_graph(session: Session, start: Collection[Node], when: When) -> Graph:
    """Load everything behind `start`; of a token's holders, those that are no natural persons."""
    graph = Graph()
    seen: set[Node] = set()
    ahead = set(start)
    while ahead:
        seen |= ahead
        load_parties(session, graph, when, _ids(ahead, NodeKind.PARTY))
        vehicles = _ids(ahead, NodeKind.VEHICLE)
        _load_declared(session, graph, when, vehicles, owning=NodeKind.VEHICLE)
        for token_id in _ids(ahead, NodeKind.TOKEN):
            _load_token(session, graph, when, token_id)
        found = {owner for node in ahead for owner in graph.owners.get(node, ())}
        ruled = (party_node(node.id) for node in ahead)
        ruling = (ruler for node in ruled for ruler in graph.rulers.get(node, ()))
        found |= {party_node(ruler.party_id) for ruler in ruling}
        ahead = found - seen
    return graph


def _ids(nodes: Collection[Node], kind: NodeKind) -> list[UUID]:
    return sorted((node.id for node in nodes if node.kind == kind), key=attrgetter("int"))


def load_parties(session: Session, graph: Graph, when: When, party_ids: Sequence[UUID]) -> None:
    """Add who owns these parties, and who rules over them."""
    companies: list[UUID] = []
    lands: dict[UUID, UUID] = {}
    people = set(party_ids)
    for party_id, kind, members, asset_id in _OTHERS.all(session, party_ids=list(party_ids)):
        node = party_node(party_id)
        people.remove(party_id)
        if kind == PartyKind.GROUP:
            graph.groups.add(node)
            whole = sum(int(row["hissa"]) for row in members)
            graph.owners[node] = {
                party_node(UUID(row["party_id"])): Fraction(int(row["hissa"]), whole)
                for row in members
            }
        elif asset_id is not None:
            lands[asset_id] = party_id
        else:
            companies.append(party_id)
    graph.people |= {party_node(party_id) for party_id in people}
    for asset_id, shares in title_shares(session, lands, when.as_of).items():
        graph.owners[party_node(lands[asset_id])] = {
            party_node(owner): share for owner, share in shares.items()
        }
    for party_id in lands.values():
        if party_node(party_id) not in graph.owners:
            graph.owners[party_node(party_id)] = {}
            graph.gaps[party_node(party_id)] = Reason.NO_TITLE
    _load_companies(session, graph, when, companies)


# Nearly all are people, of whom nothing is to be read: what refers to a party finds one (a key of
# the database, and members are checked), so whoever is not among these is a natural person.
_OTHERS = Composed(
    sql_select(
        col(Party.id),
        col(Party.kind),
        case((col(Party.kind) == PartyKind.GROUP, col(Party.members))),
        col(Party.asset_id),
    ).where(among_named(col(Party.id), "party_ids"), col(Party.kind) != PartyKind.NATURAL)
)

CLAIMED = (TitleState.PROPOSED, TitleState.VERIFIED, TitleState.REFUSED)
"""States in which somebody only says that the title is theirs, or said so in vain."""


def title_shares(
    session: Session, asset_ids: Collection[UUID], as_of: datetime
) -> Mapping[UUID, Mapping[UUID, Fraction]]:
    """Return who had what part of each asset's title at a time, by asset and party."""
    if not asset_ids:
        return {}
    rows = session.exec(
        select(Title.asset_id, TitleShare.party_id, TitleShare.hissa, TitleVersion.kul_hissay)
        .join(TitleVersion, col(TitleVersion.title_id) == col(Title.id))
        .join(TitleShare, col(TitleShare.version_id) == col(TitleVersion.id))
        .where(
            among(col(Title.asset_id), asset_ids),
            col(Title.state).not_in(CLAIMED),
            *in_force_at(as_of),
        )
        .order_by(col(Title.asset_id), col(TitleShare.party_id))
    )
    found: dict[UUID, dict[UUID, Fraction]] = {}
    for asset_id, party_id, hissa, kul_hissay in rows:
        found.setdefault(asset_id, {})[party_id] = Fraction(hissa, kul_hissay)
    return found


def _load_companies(session: Session, graph: Graph, when: When, party_ids: Sequence[UUID]) -> None:
    if not party_ids:
        return
    wrapped = _wrapped_by(session, when, party_ids)
    plain = [party_id for party_id in party_ids if party_id not in wrapped]
    _load_declared(session, graph, when, plain, owning=NodeKind.PARTY)
    _load_declared(session, graph, when, list(wrapped), owning=NodeKind.VEHICLE)
    assets = [token.asset_id for tokens in wrapped.values() for token in tokens]
    titles = title_shares(session, assets, when.as_of)
    several = _owners_of_several(session, list(wrapped), when.as_of)
    for party_id, tokens in wrapped.items():
        if len(tokens) > 1 or party_id in several:
            graph.owners[party_node(party_id)] = {}
            graph.gaps[party_node(party_id)] = Reason.SEVERAL_ASSETS
        else:
            [token] = tokens
            held = titles.get(token.asset_id, {}).get(party_id, Fraction(0))
            graph.owners[party_node(party_id)] = _split(party_id, token, held)


def _split(party_id: UUID, token: Tokenization, held: Fraction) -> dict[Node, Fraction]:
    """Split what a vehicle is worth between the holders of its token and the rest.

    Parameters
    ----------
    held
        Its part of the title, of which the token has so much as is tokenized (WRP-01).
    """
    tokenized = min(token.economic_share / held, Fraction(1)) if held else Fraction(0)
    parts = {
        token_node(token.id): tokenized,
        Node(NodeKind.VEHICLE, party_id): 1 - tokenized,
    }
    return {node: part for node, part in parts.items() if part}


def _wrapped_by(
    session: Session, when: When, party_ids: Sequence[UUID]
) -> Mapping[UUID, Sequence[Tokenization]]:
    """Return the tokens that somebody holds of what each of these parties wraps."""
    found: dict[UUID, list[Tokenization]] = {}
    rows = session.exec(
        select(Wrapper.party_id, Tokenization)
        .join(Tokenization, col(Tokenization.asset_id) == col(Wrapper.asset_id))
        .where(
            among(col(Wrapper.party_id), party_ids), col(Tokenization.token_address).is_not(None)
        )
        .order_by(col(Tokenization.id))
    ).all()
    supplies = supplies_of(session, [token for _, token in rows], when.block)
    for party_id, token in rows:
        if supplies[token.id]:
            found.setdefault(party_id, []).append(token)
    return found


def _owners_of_several(session: Session, party_ids: Sequence[UUID], as_of: datetime) -> set[UUID]:
    """Return those of these parties that have a part of more than one title."""
    query = (
        select(TitleShare.party_id)
        .join(TitleVersion, col(TitleVersion.id) == col(TitleShare.version_id))
        .join(Title, col(Title.id) == col(TitleVersion.title_id))
        .where(
            among(col(TitleShare.party_id), party_ids),
            col(Title.state).not_in(CLAIMED),
            *in_force_at(as_of),
        )
        .group_by(col(TitleShare.party_id))
        .having(func.count() > 1)
    )
    return set(session.exec(query))


def in_force_at(as_of: datetime) -> tuple[ColumnElement[bool], ...]:
    """Give the conditions of a version of a title that held at a time, as the session knows it."""
    return (
        col(TitleVersion.superseded_at).is_(None),
        col(TitleVersion.valid_from) <= as_of,
        or_(col(TitleVersion.valid_to).is_(None), col(TitleVersion.valid_to) > as_of),
    )


def _load_declared(
    session: Session, graph: Graph, when: When, party_ids: Sequence[UUID], *, owning: NodeKind
) -> None:
    """Add what legal persons declare: who owns them, and who rules over them.

    Parameters
    ----------
    owning
        VEHICLE where what is declared is owned beside what is tokenized.
    """
    if not party_ids:
        return
    for party_id in party_ids:
        graph.owners[Node(owning, party_id)] = {}
        graph.rulers[party_node(party_id)] = []
    for line in stated_in_force(session, party_ids, when.as_of):
        node, ruled = Node(owning, line.party_id), party_node(line.party_id)
        graph.declared_on[node] = graph.declared_on[ruled] = line.declared_on
        if line.nature in OWNING:
            # Nobody has two: a company has shareholders, a trust has beneficiaries.
            owner = party_node(line.holder_id)
            graph.owners[node][owner] = Fraction(line.parts or 0, line.whole)
        else:
            graph.rulers[ruled].append(Ruler(line.nature, line.holder_id))


def _load_token(session: Session, graph: Graph, when: When, token_id: UUID) -> None:
    token = session.get_one(Tokenization, token_id)
    supply = supply_of(session, token, when.block)
    held = entities_of(session, token, when.block) if supply else {}
    graph.owners[token_node(token_id)] = {
        party_node(party_id): Fraction(units, supply) for party_id, units in held.items()
    }


def _token_of(session: Session, asset_id: UUID, when: When) -> Tokenization | None:
    """Return the token of which anything was minted at the block: an asset has one at a time."""
    tokens = session.exec(
        select(Tokenization)
        .where(col(Tokenization.asset_id) == asset_id, col(Tokenization.token_address).is_not(None))
        .order_by(col(Tokenization.id).desc())
    )
    return next((each for each in tokens if supply_of(session, each, when.block) > 0), None)


def start_of_title(session: Session, asset_id: UUID, when: When) -> Mapping[Node, Fraction]:
    """Return who had what part of an asset: of what is tokenized, the token.

    Without a title at that time nobody had any.
    """
    token = _token_of(session, asset_id, when)
    wrapper = session.exec(select(Wrapper).where(col(Wrapper.asset_id) == asset_id)).first()
    start: dict[Node, Fraction] = {}
    for party_id, share in title_shares(session, [asset_id], when.as_of).get(asset_id, {}).items():
        if token is None or wrapper is None or party_id != wrapper.party_id:
            start[party_node(party_id)] = share
            continue
        tokenized = min(token.economic_share, share)
        start[token_node(token.id)] = tokenized
        if share > tokenized:
            start[Node(NodeKind.VEHICLE, party_id)] = share - tokenized
    return start
