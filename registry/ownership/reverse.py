"""What one party is behind: everything that companies, groups, lands and tokens have for them.

The question of `service` asked the other way round. Only those are loaded of whom the party has a
part, so that the answer is as quick as there is little of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from registry.captable.bulk import cursor_of
from registry.captable.held import ever_held
from registry.interest.models import OWNING
from registry.kernel.reading import Composed
from registry.kernel.rows import among, among_named
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
from registry.ownership.solver import NOTHING, parts_of
from registry.title.models import Title, TitleShare, TitleVersion
from registry.tokenization.models import Tokenization


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


@dataclass(frozen=True, slots=True)
class Behind:
    """What a party is behind.

    Parameters
    ----------
    parts
        To each company, group or land: what of it is the party's in the end.
    tokens
        The same of each token, by its tokenization; with what the party holds itself.
    held
        What the party, and all who stand in between, hold of these tokens.
    graph
        All the ways to them.
    """

    parts: Mapping[UUID, Fraction]
    tokens: Mapping[UUID, Fraction]
    held: Sequence[HeldToken]
    graph: Graph


# One layer of the walk: of whom these have a part, and the token where it is by holding it. A group
# keeps its members in one document; each id is looked for in its index. Of what a wallet ever held
# something is kept, so one look at its balances finds every token.
_OVER = """
SELECT d.party_id, NULL::uuid FROM declared_interest l
JOIN interest_declaration d ON d.id = l.declaration_id
WHERE l.holder_id = ANY(%(ahead)s) AND l.nature = ANY(%(owning)s) AND d.state = 'CONFIRMED'
UNION
SELECT g.id, NULL FROM unnest(%(ahead)s::uuid[]) m (id)
JOIN party g ON g.members @> jsonb_build_array(jsonb_build_object('party_id', m.id::text))
UNION
SELECT p.id, NULL FROM title_share s
JOIN title_version v ON v.id = s.version_id
JOIN title t ON t.id = v.title_id
JOIN party p ON p.asset_id = t.asset_id
WHERE s.party_id = ANY(%(ahead)s) AND NOT t.state = ANY(%(claimed)s) AND v.superseded_at IS NULL
  AND v.valid_from <= %(as_of)s AND (v.valid_to IS NULL OR v.valid_to > %(as_of)s)
UNION
SELECT r.party_id, z.id FROM investor i
JOIN wallet w ON w.investor_id = i.id
JOIN holder h ON h.address = w.address
JOIN ({held}) b ON b.holder_no = h.holder_no
JOIN token t ON t.token_no = b.token_no
JOIN tokenization z ON z.token_address = t.address
LEFT JOIN wrapper r ON r.asset_id = z.asset_id
WHERE i.party_id = ANY(%(ahead)s)
"""
_KINDS = {"owning": [each.value for each in OWNING], "claimed": [each.value for each in CLAIMED]}


def what_is_behind(
    session: Session, party_id: UUID, when: When, *, least: Fraction = NOTHING
) -> Behind:
    """Find everything of which a party has a part over others, and how much it is.

    Parameters
    ----------
    least
        Below this part nothing has to be told: of who only holds a little of some tokens, as
        nearly all investors do, nothing more is loaded.
    """
    others, token_ids, is_by_tokens = _over(session, party_id, when)
    held = list(_holdings(session, token_ids, {party_id, *others}, when))
    graph = Graph()
    # All that comes to the party comes out of a token, to whoever of these holds it.
    if is_by_tokens and all(part < least for part in _held_of_each(held)):
        return Behind({}, {}, held, graph)
    load_parties(session, graph, when, sorted(others))
    for token_id in token_ids:
        graph.owners[token_node(token_id)] = {}
    for each in held:
        graph.owners[token_node(each.tokenization.id)][party_node(each.party_id)] = each.share
    parts = parts_of(party_node(party_id), graph.owners)
    return Behind(
        parts={
            node.id: part
            for node, part in parts.items()
            if node.kind == NodeKind.PARTY and node.id != party_id
        },
        tokens={node.id: part for node, part in parts.items() if node.kind == NodeKind.TOKEN},
        held=held,
        graph=graph,
    )


def _held_of_each(held: Iterable[HeldToken]) -> Iterable[Fraction]:
    """Give of each token what part of it is held by all of these together."""
    of_each: dict[UUID, Fraction] = {}
    for each in held:
        token_id = each.tokenization.id
        of_each[token_id] = of_each.get(token_id, NOTHING) + each.share
    return of_each.values()


def _over(session: Session, party_id: UUID, when: When) -> tuple[set[UUID], set[UUID], bool]:
    """Walk up from a party.

    Returns
    -------
    set, set, bool
        Whoever it may have a part of over any number of others; the tokens that it and they ever
        held; and whether each step of the way is by holding a token.
    """
    query = _OVER.format(held=ever_held(when.block)).encode()
    seen, tokens = {party_id}, set[UUID]()
    ahead, is_by_tokens = seen, True
    while ahead:
        with cursor_of(session) as cursor:
            asked = {"ahead": list(ahead), "as_of": when.as_of, **_KINDS}
            found = cursor.execute(query, asked).fetchall()
        tokens |= {token_id for _, token_id in found if token_id is not None}
        is_by_tokens = is_by_tokens and all(token_id is not None for _, token_id in found)
        ahead = {over for over, _ in found if over is not None} - seen
        seen = seen | ahead
    return seen - {party_id}, tokens, is_by_tokens


def _holdings(
    session: Session, token_ids: Collection[UUID], party_ids: Collection[UUID], when: When
) -> Iterator[HeldToken]:
    """Give what these parties held of each of these tokens."""
    tokens = _TOKENS.scalars(session, token_ids=list(token_ids))
    supplies = supplies_of(session, tokens, when.block)
    for token in tokens:
        supply = supplies[token.id]
        held = units_of(session, token, when.block, party_ids) if supply else {}
        for party_id, units in sorted(held.items()):
            yield HeldToken(token, party_id, units, Fraction(units, supply))


_TOKENS = Composed(
    sql_select(Tokenization)
    .where(among_named(col(Tokenization.id), "token_ids"))
    .order_by(col(Tokenization.id))
)


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
