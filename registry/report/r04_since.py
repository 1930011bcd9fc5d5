"""Since when a person has been behind what others hold: by the oldest way that still stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable import service as captable
from registry.captable.bulk import cursor_of
from registry.interest.since import owning_since
from registry.kernel.rows import among
from registry.ownership.graph import Graph, Node, NodeKind, party_node
from registry.ownership.reverse import HeldTitle, HeldToken
from registry.ownership.solver import EVER, ways_since
from registry.party.models import Party
from registry.report.held_since import TITLE_SINCE, parties_since
from registry.report.report import Question
from registry.tokenization.models import Tokenization

Pairs = Collection[tuple[UUID, UUID]]
Since = Mapping[tuple[UUID, UUID], datetime]

_OF_TITLES = f"""
SELECT t.asset_id, mine.party_id, ({TITLE_SINCE})
FROM unnest(%(assets)s::uuid[], %(parties)s::uuid[]) mine (asset_id, party_id)
JOIN title t ON t.asset_id = mine.asset_id
"""  # noqa: S608 - no value in it


@dataclass(frozen=True, slots=True)
class BehindSince:
    """Since when others hold things, and since when a person is behind these others.

    Parameters
    ----------
    titles, tokens
        By asset or tokenization, and by holder.
    ways
        To whoever holds: since when there has been a way to the person.
    """

    titles: Since
    tokens: Since
    ways: Mapping[Node, datetime]

    def of_title(self, held: HeldTitle) -> datetime:
        return self._later(self.titles, held.asset_id, held.party_id)

    def of_token(self, held: HeldToken) -> datetime:
        return self._later(self.tokens, held.tokenization.id, held.party_id)

    def _later(self, since: Since, thing_id: UUID, holder_id: UUID) -> datetime:
        began = since.get((thing_id, holder_id), EVER)
        return max(began, self.ways.get(party_node(holder_id), EVER))


def behind_since(
    session: Session,
    question: Question[Any],
    graph: Graph,
    person_id: UUID,
    held: tuple[Collection[HeldTitle], Collection[HeldToken]],
) -> BehindSince:
    """Find since when a person is behind what is held, by the ways of `graph`."""
    titles, tokens = held
    lands = _lands(session, graph)
    of_titles = _titles_since(
        session,
        question,
        {(each.asset_id, each.party_id) for each in titles}
        | {
            (asset_id, owner.id) for land, asset_id in lands.items() for owner in graph.owners[land]
        },
    )
    of_tokens = _tokens_since(
        session,
        question,
        {(each.tokenization.id, each.party_id) for each in tokens}
        | {(token.id, owner.id) for token in graph.tokens for owner in graph.owners[token]},
    )
    companies = {node.id for node in graph.owners if node.kind != NodeKind.TOKEN}
    declared = owning_since(session, companies, question.moment)
    steps: dict[tuple[Node, Node], datetime] = {}
    for node, parts in graph.owners.items():
        since, thing_id = declared, node.id
        if node.kind == NodeKind.TOKEN:
            since = of_tokens
        elif node in lands:
            since, thing_id = of_titles, lands[node]
        for owner in parts:
            if (thing_id, owner.id) in since:
                steps[node, owner] = since[thing_id, owner.id]
    return BehindSince(of_titles, of_tokens, ways_since(party_node(person_id), graph.owners, steps))


def _lands(session: Session, graph: Graph) -> Mapping[Node, UUID]:
    """Return which of the parties are land, and which asset each is."""
    ids = [node.id for node in graph.owners if node.kind == NodeKind.PARTY]
    query = select(Party.id, Party.asset_id).where(
        among(col(Party.id), ids), col(Party.asset_id).is_not(None)
    )
    found = session.exec(query).all()
    return {party_node(party_id): asset_id for party_id, asset_id in found if asset_id is not None}


def _titles_since(session: Session, question: Question[Any], pairs: Pairs) -> Since:
    if not pairs:
        return {}
    assets, parties = zip(*pairs, strict=True)
    asked = {
        "assets": list(assets), "parties": list(parties),
        "moment": question.moment, "known": question.known_at,
    }  # fmt: skip
    with cursor_of(session) as cursor:
        found = cursor.execute(_OF_TITLES.encode(), asked).fetchall()
    return {(asset_id, party_id): since for asset_id, party_id, since in found if since is not None}


def _tokens_since(session: Session, question: Question[Any], pairs: Pairs) -> Since:
    """Return since when each party has held something of each token."""
    found: dict[tuple[UUID, UUID], datetime] = {}
    for token_id in sorted({token_id for token_id, _ in pairs}):
        holders = [holder_id for each, holder_id in pairs if each == token_id]
        since = _token_since(session, question, token_id, holders)
        found |= {(token_id, holder_id): moment for holder_id, moment in since.items()}
    return found


def _token_since(
    session: Session, question: Question[Any], token_id: UUID, holders: Collection[UUID]
) -> Mapping[UUID, datetime]:
    address = session.get_one(Tokenization, token_id).token_address
    token = None if address is None else captable.find_token(session, address)
    if token is None or question.block is None:
        return {}
    return parties_since(session, token, question.block, holders)
