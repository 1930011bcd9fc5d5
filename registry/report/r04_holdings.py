"""R-04: what one person holds: titles, alone or in a group, and tokens in all wallets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.captable import service as captable
from registry.captable.models import Token
from registry.investor.models import Investor, Wallet
from registry.kernel.errors import Invalid, NotFound
from registry.party import service as parties
from registry.report.held_since import held_since
from registry.report.r04_behind import rows_behind
from registry.report.report import Column, Kind, Parameters, Question, Report, Row
from registry.report.worth import part_of, worth_of
from registry.title.models import TitleState


class OfPerson(Parameters):
    """Who is asked about, named in one way."""

    party: Annotated[UUID | None, Field(description="The id of the party")] = None
    cnic: Annotated[str | None, Field(max_length=20)] = None
    ntn: Annotated[str | None, Field(max_length=20)] = None
    lei: Annotated[str | None, Field(max_length=20)] = None
    wallet: Annotated[
        str | None, Field(pattern="^0x[0-9a-fA-F]{40}$", description="An address")
    ] = None
    beneficial: Annotated[
        bool,
        Field(
            description="Also what others hold of whom the person is a beneficial owner (UBO_TITLE,"
            " UBO_TOKEN); with false only what they hold in their own name"
        ),
    ] = True


COLUMNS = (
    Column("kind"),
    Column("asset"),
    Column("title", Kind.ID),
    Column("holder", Kind.ID),
    Column("token", Kind.ID),
    Column("symbol"),
    Column("wallet", Kind.ADDRESS),
    Column("share", Kind.FRACTION),
    Column("fractions", Kind.UNITS),
    Column("frozen", Kind.UNITS),
    Column("value", Kind.MONEY),
    Column("since", Kind.TIME),
)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who is asked about: a party where the wallet is known, and all wallets of it."""

    party_id: UUID | None
    wallets: Sequence[bytes]


Source = Callable[[Session, Question[OfPerson], Holder, Sequence[Any]], Iterator[Row]]
"""Yields the rows of one kind behind the rest of a key, which begins with the kind's place."""

# A member of a group holds their part of what the group holds.
_TITLES = text("""
WITH mine AS MATERIALIZED (
  SELECT CAST(:party AS uuid) AS party_id, 1::numeric AS part, 1::numeric AS whole
  UNION ALL
  SELECT g.id, (m ->> 'hissa')::numeric,
    (SELECT sum((x ->> 'hissa')::numeric) FROM jsonb_array_elements(g.members) x)
  FROM party g CROSS JOIN jsonb_array_elements(g.members) m
  WHERE g.members @> CAST(:member AS jsonb) AND (m ->> 'party_id')::uuid = CAST(:party AS uuid))
SELECT a.code, t.asset_id, t.id AS title_id, mine.party_id, s.hissa, v.kul_hissay, part, whole,
  (SELECT min(w.valid_from) FROM title_version w
   WHERE w.title_id = t.id AND w.valid_from <= :moment AND w.recorded_at <= :known
     AND (w.superseded_at IS NULL OR w.superseded_at > :known)
     AND w.valid_from > coalesce((
       SELECT max(x.valid_from) FROM title_version x
       WHERE x.title_id = t.id AND x.valid_from <= :moment AND x.recorded_at <= :known
         AND (x.superseded_at IS NULL OR x.superseded_at > :known)
         AND NOT EXISTS (SELECT FROM title_share y
                         WHERE y.version_id = x.id AND y.party_id = mine.party_id)),
       '-infinity')) AS since
FROM mine JOIN title_share s ON s.party_id = mine.party_id
JOIN title_version v ON v.id = s.version_id
JOIN title t ON t.id = v.title_id JOIN asset a ON a.id = t.asset_id
WHERE NOT t.state = ANY(:claimed)
  AND v.valid_from <= :moment AND (v.valid_to IS NULL OR v.valid_to > :moment)
  AND v.recorded_at <= :known AND (v.superseded_at IS NULL OR v.superseded_at > :known)
  AND (t.id, mine.party_id) > (:title, :holder)
ORDER BY t.id, mine.party_id LIMIT :limit
""")
_CLAIMED = [state.value for state in (TitleState.PROPOSED, TitleState.VERIFIED, TitleState.REFUSED)]
"""States in which somebody only says that the title is theirs."""

# Who has nothing any more has a row still: what was held at the block is asked of each.
_TOKENS = text("""
SELECT t.token_no, h.address, k.id, k.symbol, k.declared_fractions,
  k.economic_share_num, k.economic_share_den, k.asset_id, a.code
FROM holder h JOIN balance b ON b.holder_no = h.holder_no
JOIN token t ON t.token_no = b.token_no AND t.chain_id = :chain
LEFT JOIN tokenization k ON k.token_address = t.address
LEFT JOIN asset a ON a.id = k.asset_id
WHERE h.address = ANY(:wallets) AND (t.token_no, h.address) > (:token, :wallet)
ORDER BY t.token_no, h.address
""")


def _rows(session: Session, question: Question[OfPerson]) -> Iterator[Row]:
    holder = _holder_of(session, question)
    first, *rest = question.after or (0,)
    for place, source in enumerate(SOURCES):
        if place >= int(first):
            after = rest if place == first else ()
            for key, values in source(session, question, holder, after):
                yield Row((place, *key), values)


def _holder_of(session: Session, question: Question[OfPerson]) -> Holder:
    """Find the person.

    Raises
    ------
    Invalid
        ``person_required``, or an identifier is malformed.
    NotFound
    """
    asked = question.parameters
    named = [
        name
        for name, value in asked.model_dump(exclude={"beneficial"}).items()
        if value is not None
    ]
    if len(named) != 1:
        raise Invalid(
            "person_required",
            "The report is on one person, who is named in one way.",
            field="party",
            remedy="Send `party`, `cnic`, `ntn`, `lei` or `wallet`.",
        )
    if asked.wallet is not None:
        return _holder_of_wallet(session, bytes.fromhex(asked.wallet[2:]))
    if asked.party is not None:
        found = parties.get_party(session, asked.party)
    else:
        matches = parties.list_parties(
            session, question.vault, cnic=asked.cnic, ntn=asked.ntn, lei=asked.lei, after=None,
            limit=1,
        )  # fmt: skip
        if not matches:
            # Whoever asks need not see their own words again.
            raise NotFound("party", f"of that {named[0]}")
        found = matches[0]
    question.parties.add(found.id)
    return Holder(found.id, _wallets_of(session, found.id))


def _holder_of_wallet(session: Session, address: bytes) -> Holder:
    party_id = session.exec(
        select(Investor.party_id)
        .join(Wallet, col(Wallet.investor_id) == col(Investor.id))
        .where(col(Wallet.address) == address)
    ).first()
    return Holder(party_id, [address] if party_id is None else _wallets_of(session, party_id))


def _wallets_of(session: Session, party_id: UUID) -> Sequence[bytes]:
    return session.exec(
        select(Wallet.address)
        .join(Investor, col(Investor.id) == col(Wallet.investor_id))
        .where(col(Investor.party_id) == party_id)
    ).all()


def _titles(
    session: Session, question: Question[OfPerson], holder: Holder, after: Sequence[Any]
) -> Iterator[Row]:
    if holder.party_id is None:
        return
    title, of = after or (UUID(int=0), UUID(int=0))
    asked = {
        "party": str(holder.party_id), "member": json.dumps([{"party_id": str(holder.party_id)}]),
        "moment": question.moment, "known": question.known_at, "claimed": _CLAIMED,
        "title": title, "holder": of, "limit": question.fetch,
    }  # fmt: skip
    found = session.execute(_TITLES, asked).all()
    worth = worth_of(session, question, {row.asset_id for row in found})
    for row in found:
        share = Fraction(row.hissa, row.kul_hissay) * Fraction(int(row.part), int(row.whole))
        yield Row(
            (str(row.title_id), str(row.party_id)),
            ("DIRECT_TITLE", row.code, row.title_id, row.party_id, None, None, None, share,
             None, None, part_of(worth.get(row.asset_id), share), row.since),
        )  # fmt: skip


def _tokens(
    session: Session, question: Question[OfPerson], holder: Holder, after: Sequence[Any]
) -> Iterator[Row]:
    block = question.block
    if block is None or not holder.wallets:
        return
    number, wallet = after or (0, "")
    asked = {
        "chain": question.chain_id, "wallets": list(holder.wallets),
        "token": number, "wallet": bytes.fromhex(wallet),
    }  # fmt: skip
    found = session.execute(_TOKENS, asked).all()
    worth = worth_of(session, question, {row.asset_id for row in found if row.asset_id})
    for row in found:
        token = session.get_one(Token, row.token_no)
        units, frozen = captable.holding_known(session, token, row.address, block)
        if not units:
            continue
        of_asset = None
        if row.id is not None:
            economic = Fraction(row.economic_share_num, row.economic_share_den)
            of_asset = Fraction(units, row.declared_fractions) * economic
        since = held_since(session, token, block, [row.address]).get(row.address)
        yield Row(
            (row.token_no, row.address.hex()),
            ("TOKEN", row.code, None, holder.party_id, row.id, row.symbol, row.address,
             Fraction(units, captable.supply_at(session, token, block)), units, frozen,
             part_of(worth.get(row.asset_id), of_asset), since),
        )  # fmt: skip


def _behind(
    session: Session, question: Question[OfPerson], holder: Holder, after: Sequence[Any]
) -> Iterator[Row]:
    if holder.party_id is not None and question.parameters.beneficial:
        yield from rows_behind(session, question, holder.party_id, after)


SOURCES: tuple[Source, ...] = (_titles, _tokens, _behind)

HOLDINGS = Report(
    code="R-04",
    title="All holdings of a person",
    title_ur="ایک شخص کی تمام ملکیت",
    parameters=OfPerson,
    columns=COLUMNS,
    rows=_rows,
    speaks_of_chain=True,
)
