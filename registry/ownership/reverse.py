"""What one party is behind: everything that companies, groups, lands and tokens have for them.

The question of `service` asked the other way round. Only those are loaded of whom the party has a
part, so that the answer is as quick as there is little of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.held import ever_held
from registry.interest.service import parties_in_which
from registry.kernel.rows import among
from registry.ownership.graph import (
    CLAIMED,
    Graph,
    NodeKind,
    When,
    in_force_at,
    load_parties,
    party_node,
    token_node,
)
from registry.ownership.holders import supplies_of, units_of
from registry.ownership.solver import parts_of
from registry.party.models import Party
from registry.title.models import Title, TitleShare, TitleVersion
from registry.tokenization.models import Tokenization
from registry.wrapper.models import Wrapper


@dataclass(frozen=True, slots=True)
class Behind:
    """What a party is behind.

    Parameters
    ----------
    parts
        To each company, group or land: what of it is the party's in the end.
    tokens
        The same of each token, by its tokenization; with what the party holds itself.
    graph
        All the ways to them.
    """

    parts: Mapping[UUID, Fraction]
    tokens: Mapping[UUID, Fraction]
    graph: Graph


# A group keeps its members in one document; each id is looked for in its index.
_GROUPS = text("""
SELECT g.id FROM unnest(CAST(:members AS uuid[])) AS m(id)
JOIN party g ON g.members @> jsonb_build_array(jsonb_build_object('party_id', m.id::text))
""")
# Of what a wallet ever held something is kept, so one look at its balances finds every token.
_TOKENS = """
SELECT DISTINCT z.id FROM investor i
JOIN wallet w ON w.investor_id = i.id
JOIN holder h ON h.address = w.address
JOIN ({held}) b ON b.holder_no = h.holder_no
JOIN token t ON t.token_no = b.token_no
JOIN tokenization z ON z.token_address = t.address
WHERE i.party_id = ANY(%(people)s)
"""


def what_is_behind(session: Session, party_id: UUID, when: When) -> Behind:
    """Find everything of which a party has a part over others, and how much it is."""
    graph = Graph()
    seen: set[UUID] = set()
    ahead = {party_id}
    while ahead:
        seen |= ahead
        over = {
            *parties_in_which(session, ahead),
            *_groups(session, ahead),
            *_lands(session, ahead, when),
        }
        over |= _vehicles(session, graph, ahead, when)
        ahead = over - seen
        load_parties(session, graph, when, sorted(ahead))
    _add_holders(session, graph, when, seen)
    parts = parts_of(party_node(party_id), graph.owners)
    return Behind(
        parts={
            node.id: part
            for node, part in parts.items()
            if node.kind == NodeKind.PARTY and node.id != party_id
        },
        tokens={node.id: part for node, part in parts.items() if node.kind == NodeKind.TOKEN},
        graph=graph,
    )


def _groups(session: Session, ahead: Collection[UUID]) -> Iterator[UUID]:
    yield from session.execute(_GROUPS, {"members": list(ahead)}).scalars()


def _lands(session: Session, ahead: Collection[UUID], when: When) -> Iterator[UUID]:
    """Give the lands that are parties, and of which one of these has a part of the title."""
    yield from session.exec(
        select(Party.id)
        .join(Title, col(Title.asset_id) == col(Party.asset_id))
        .join(TitleVersion, col(TitleVersion.title_id) == col(Title.id))
        .join(TitleShare, col(TitleShare.version_id) == col(TitleVersion.id))
        .where(
            among(col(TitleShare.party_id), ahead),
            col(Title.state).not_in(CLAIMED),
            *in_force_at(when.as_of),
        )
    )


def _vehicles(session: Session, graph: Graph, ahead: Collection[UUID], when: When) -> set[UUID]:
    """Note the tokens that these hold, and return the vehicles of what is tokenized."""
    tokens = _tokens_of(session, ahead, when.block)
    for token_id in tokens:
        graph.owners.setdefault(token_node(token_id), {})
    return set(
        session.exec(
            select(Wrapper.party_id)
            .join(Tokenization, col(Tokenization.asset_id) == col(Wrapper.asset_id))
            .where(among(col(Tokenization.id), tokens))
        )
    )


def _tokens_of(
    session: Session, party_ids: Collection[UUID], block: AsOfBlock | None
) -> Sequence[UUID]:
    """Return the tokens of which one of these ever held something."""
    query = _TOKENS.format(held=ever_held(block)).encode()
    with cursor_of(session) as cursor:
        rows = cursor.execute(query, {"people": list(party_ids)})
        return [token_id for (token_id,) in rows]


def _add_holders(session: Session, graph: Graph, when: When, party_ids: Collection[UUID]) -> None:
    """Add what all who stand in between hold of each token."""
    tokens = _tokenizations(session, [node.id for node in graph.tokens])
    supplies = supplies_of(session, tokens, when.block)
    for token in tokens:
        node, supply = token_node(token.id), supplies[token.id]
        held: Mapping[UUID, int] = {}
        if supply:
            held = units_of(session, token, when.block, party_ids)
        graph.owners[node] = {
            party_node(holder): Fraction(units, supply) for holder, units in held.items()
        }


def _tokenizations(session: Session, ids: Collection[UUID]) -> Sequence[Tokenization]:
    return session.exec(
        select(Tokenization).where(among(col(Tokenization.id), ids)).order_by(col(Tokenization.id))
    ).all()


class HeldTitle(NamedTuple):
    """A part of a title."""

    asset_id: UUID
    title_id: UUID
    party_id: UUID
    share: Fraction


class HeldToken(NamedTuple):
    """Units of a token, and what part of all of them they are."""

    tokenization: Tokenization
    party_id: UUID
    units: int
    share: Fraction


def held_titles(
    session: Session, party_ids: Collection[UUID], as_of: datetime
) -> Sequence[HeldTitle]:
    """List what parts of titles these parties had at a time; a mere claim is none."""
    rows = session.exec(
        select(Title.asset_id, Title.id, TitleShare, TitleVersion.kul_hissay)
        .join(TitleVersion, col(TitleVersion.title_id) == col(Title.id))
        .join(TitleShare, col(TitleShare.version_id) == col(TitleVersion.id))
        .where(
            among(col(TitleShare.party_id), party_ids),
            col(Title.state).not_in(CLAIMED),
            *in_force_at(as_of),
        )
        .order_by(col(Title.id), col(TitleShare.party_id))
    )
    return [
        HeldTitle(asset_id, title_id, held.party_id, Fraction(held.hissa, kul_hissay))
        for asset_id, title_id, held, kul_hissay in rows
    ]


def held_tokens(session: Session, party_ids: Collection[UUID], when: When) -> Sequence[HeldToken]:
    """List what these parties held of each token."""
    found = []
    tokens = _tokenizations(session, _tokens_of(session, party_ids, when.block))
    supplies = supplies_of(session, tokens, when.block)
    for token in tokens:
        supply = supplies[token.id]
        held = units_of(session, token, when.block, party_ids) if supply else {}
        for party_id, units in sorted(held.items()):
            found.append(HeldToken(token, party_id, units, Fraction(units, supply)))
    return found
