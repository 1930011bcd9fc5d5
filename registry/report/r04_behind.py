"""R-04's last part: what a person holds over companies, trusts and lands that they are behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset.models import Asset
from registry.kernel.clock import day_of
from registry.kernel.rows import among
from registry.ownership.graph import When
from registry.ownership.reverse import held_titles, what_is_behind
from registry.party.models import Party, PartyKind
from registry.policy.models import PolicyName
from registry.policy.service import policy_on
from registry.report.r04_since import behind_since
from registry.report.report import Question, Row
from registry.report.worth import part_of, worth_of


def rows_behind(
    session: Session, question: Question[Any], party_id: UUID, after: Sequence[Any]
) -> Iterator[Row]:
    """Yield what others hold of whom the person is a beneficial owner by the law of that day.

    What a group holds is its members' own, and is told with their titles.
    """
    when = When(question.moment, question.block)
    policy = policy_on(session, PolicyName.UBO, day_of(question.moment))
    behind = what_is_behind(session, party_id, when, least=policy.value)
    enough = {holder: part for holder, part in behind.parts.items() if policy.covers(part)}
    parts = _without_groups(session, enough)
    if not parts:
        return
    titles = held_titles(session, parts, question.moment)
    tokens = [held for held in behind.held if held.party_id in parts]
    if not titles and not tokens:
        return
    since = behind_since(session, question, behind.graph, party_id, (titles, tokens))
    assets = {title.asset_id for title in titles} | {held.tokenization.asset_id for held in tokens}
    codes = dict(
        session.exec(select(Asset.id, Asset.code).where(among(col(Asset.id), sorted(assets)))).all()
    )
    worth = worth_of(session, question, assets)
    rows = []
    for title in titles:
        share = title.share * parts[title.party_id]
        rows.append(Row(
            (0, str(title.title_id), str(title.party_id)),
            ("UBO_TITLE", codes[title.asset_id], title.title_id, title.party_id, None, None, None,
             share, None, None, None, part_of(worth.get(title.asset_id), share),
             since.of_title(title)),
        ))  # fmt: skip
    for held in tokens:
        token, share = held.tokenization, held.share * parts[held.party_id]
        value = part_of(worth.get(token.asset_id), share * token.economic_share)
        rows.append(Row(
            (1, str(token.id), str(held.party_id)),
            ("UBO_TOKEN", codes[token.asset_id], None, held.party_id, token.id, token.symbol, None,
             share, held.units, None, None, value, since.of_token(held)),
        ))  # fmt: skip
    yield from (row for row in rows if not after or row.key > tuple(after))


def _without_groups(session: Session, parts: Mapping[UUID, Fraction]) -> Mapping[UUID, Fraction]:
    if not parts:
        return {}
    query = select(Party.id).where(
        among(col(Party.id), sorted(parts)), col(Party.kind) == PartyKind.GROUP
    )
    groups = set(session.exec(query))
    return {party_id: part for party_id, part in parts.items() if party_id not in groups}
