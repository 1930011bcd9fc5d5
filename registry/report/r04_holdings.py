"""R-04: what one person holds: titles, alone or in a group, and tokens in all wallets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlmodel import Session, col, select

from registry.captable.bulk import cursor_of
from registry.captable.frozen import FROZEN_WHOLE
from registry.captable.held import HELD_BY_ONE, MINTED_SINCE, ever_held
from registry.investor.models import Investor, Wallet
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.ownership.graph import CLAIMED
from registry.party import service as parties
from registry.report.held_since import SINCE_OF_ONE, TITLE_SINCE, since_with
from registry.report.r04_behind import rows_behind
from registry.report.report import Column, Kind, Parameters, Question, Report, Row
from registry.report.unread import require_followed
from registry.report.worth import part_of, worth_of


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
    Column("address_frozen", Kind.FLAG, says="The whole wallet is frozen: nothing in it moves"),
    Column("value", Kind.MONEY),
    Column("since", Kind.TIME),
)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who is asked about: a party where the wallet is known, and all wallets of it."""

    party_id: UUID | None
    wallets: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Held:
    """A row before it is known what it is worth.

    Parameters
    ----------
    key
        The rest of one, which begins with the place of the row's kind.
    values
        Those of `COLUMNS`, without the value.
    asset_id, part
        Of which asset's worth, and what part of it.
    """

    key: tuple[Any, ...]
    values: tuple[Any, ...]
    asset_id: UUID | None
    part: Fraction | None


Source = Callable[[Session, Question[OfPerson], Holder, Sequence[Any]], Iterator[Held]]
"""Yields what is held of one kind, behind the rest of a key."""
_VALUE = [column.name for column in COLUMNS].index("value")

# A member of a group holds their part of what the group holds.
_TITLES = f"""
WITH mine AS MATERIALIZED (
  SELECT %(party)s::uuid AS party_id, 1::numeric AS part, 1::numeric AS whole
  UNION ALL
  SELECT g.id, (m ->> 'hissa')::numeric,
    (SELECT sum((x ->> 'hissa')::numeric) FROM jsonb_array_elements(g.members) x)
  FROM party g CROSS JOIN jsonb_array_elements(g.members) m
  WHERE g.members @> %(member)s::jsonb AND (m ->> 'party_id')::uuid = %(party)s::uuid),
-- Step by step, each by an index: a plan for anybody would begin with all titles there are.
had AS MATERIALIZED (
  SELECT t.asset_id, t.id AS title_id, mine.party_id, s.hissa, v.kul_hissay, part, whole
  FROM mine
  CROSS JOIN LATERAL (SELECT * FROM title_share WHERE party_id = mine.party_id OFFSET 0) s
  CROSS JOIN LATERAL (SELECT * FROM title_version WHERE id = s.version_id OFFSET 0) v
  CROSS JOIN LATERAL (SELECT * FROM title WHERE id = v.title_id OFFSET 0) t
  WHERE NOT t.state = ANY(%(claimed)s)
    AND v.valid_from <= %(moment)s AND (v.valid_to IS NULL OR v.valid_to > %(moment)s)
    AND v.recorded_at <= %(known)s AND (v.superseded_at IS NULL OR v.superseded_at > %(known)s)
    AND (t.id, mine.party_id) > (%(title)s, %(holder)s)),
page AS MATERIALIZED (SELECT * FROM had ORDER BY title_id, party_id LIMIT %(limit)s)
SELECT a.id, a.code, t.id, mine.party_id, mine.hissa, mine.kul_hissay, part, whole,
  ({TITLE_SINCE}) AS since
FROM page mine
CROSS JOIN LATERAL (SELECT mine.title_id) t (id)
CROSS JOIN LATERAL (SELECT id, code FROM asset WHERE id = mine.asset_id OFFSET 0) a
ORDER BY t.id, mine.party_id
"""  # noqa: S608 - no value in it
_CLAIMED = [state.value for state in CLAIMED]

# Who has nothing any more has a row still: what was held at the block is told of each.
_TOKENS = f"""
SELECT t.token_no, h.holder_no, h.address, k.id, k.symbol, k.declared_fractions,
  k.economic_share_num, k.economic_share_den, a.id, a.code,
  coalesce(held.units, 0), coalesce(held.frozen, 0), coalesce(stopped.whole, false),
  t.supply_units - told.minted, since.mined_at
FROM holder h JOIN ({{held}}) b ON b.holder_no = h.holder_no
JOIN token t ON t.token_no = b.token_no AND t.chain_id = %(chain)s
LEFT JOIN tokenization k ON k.token_address = t.address
LEFT JOIN asset a ON a.id = k.asset_id
LEFT JOIN LATERAL ({HELD_BY_ONE}) held ON true
CROSS JOIN LATERAL ({MINTED_SINCE}) told
LEFT JOIN LATERAL ({SINCE_OF_ONE}) since ON true
LEFT JOIN LATERAL ({FROZEN_WHOLE}) stopped ON true
WHERE h.address = ANY(%(wallets)s) AND (t.token_no, h.address) > (%(token)s, %(wallet)s)
ORDER BY t.token_no, h.address
"""  # noqa: S608 - no value in it

# One row at least, if there is such a party.
_WALLETS = """
SELECT w.address FROM party p LEFT JOIN investor i ON i.party_id = p.id
LEFT JOIN wallet w ON w.investor_id = i.id WHERE p.id = %(party)s
"""


def _rows(session: Session, question: Question[OfPerson]) -> Iterator[Row]:
    holder = _holder_of(session, question)
    if question.block is not None:
        require_followed(session, question, holder.wallets)
    first, *rest = question.after or (0,)
    held = _held(session, question, holder, int(first), rest)
    assets = {each.asset_id for _, each in held if each.asset_id is not None}
    worth = worth_of(session, question, assets)
    for place, each in held:
        value = part_of(worth.get(each.asset_id) if each.asset_id else None, each.part)
        yield Row((place, *each.key), (*each.values[:_VALUE], value, *each.values[_VALUE:]))
    if holder.party_id is not None and question.parameters.beneficial:
        after = rest if first == BEHIND else ()
        for key, values in rows_behind(session, question, holder.party_id, after):
            yield Row((BEHIND, *key), values)


def _held(
    session: Session, question: Question[OfPerson], holder: Holder, first: int, rest: Sequence[Any]
) -> Sequence[tuple[int, Held]]:
    """List what is held in their own name on this page, with the place of its kind.

    Parameters
    ----------
    first, rest
        The kind with which the page begins, and behind which key of it.
    """
    found: list[tuple[int, Held]] = []
    for place, source in enumerate(SOURCES):
        is_full = question.fetch is not None and len(found) >= question.fetch
        if place >= first and not is_full:
            after = rest if place == first else ()
            found += [(place, each) for each in source(session, question, holder, after)]
    return found


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
        return _holder_of_wallet(session, question, bytes.fromhex(asked.wallet[2:]))
    party_id = asked.party
    if party_id is None:
        matches = parties.list_parties(
            session, question.vault, cnic=asked.cnic, ntn=asked.ntn, lei=asked.lei, after=None,
            limit=2,
        )  # fmt: skip
        if not matches:
            # Whoever asks need not see their own words again.
            raise NotFound("party", f"of that {named[0]}")
        if len(matches) > 1:
            raise Conflict(
                "party_ambiguous",
                f"Several parties are recorded under this {named[0]}.",
                remedy="Ask for each of them by `party`.",
            )
        party_id = matches[0].id
    question.parties.add(party_id)
    return Holder(party_id, _wallets_of(session, party_id))


def _holder_of_wallet(session: Session, question: Question[OfPerson], address: bytes) -> Holder:
    party_id = session.exec(
        select(Investor.party_id)
        .join(Wallet, col(Wallet.investor_id) == col(Investor.id))
        .where(col(Wallet.address) == address)
    ).first()
    if party_id is not None:
        question.parties.add(party_id)
    return Holder(party_id, [address] if party_id is None else _wallets_of(session, party_id))


def _wallets_of(session: Session, party_id: UUID) -> Sequence[bytes]:
    with cursor_of(session) as cursor:
        found = cursor.execute(_WALLETS, {"party": party_id}).fetchall()
    if not found:
        raise NotFound("party", party_id)
    return [address for (address,) in found if address is not None]


def _titles(
    session: Session, question: Question[OfPerson], holder: Holder, after: Sequence[Any]
) -> Iterator[Held]:
    if holder.party_id is None:
        return
    title, of = after or (UUID(int=0), UUID(int=0))
    asked = {
        "party": str(holder.party_id), "member": json.dumps([{"party_id": str(holder.party_id)}]),
        "moment": question.moment, "known": question.known_at, "claimed": _CLAIMED,
        "title": title, "holder": of, "limit": question.fetch,
    }  # fmt: skip
    with cursor_of(session) as cursor:
        found = cursor.execute(_TITLES.encode(), asked).fetchall()
    for asset_id, code, title_id, party_id, hissa, kul_hissay, part, whole, since in found:
        share = Fraction(hissa, kul_hissay) * Fraction(int(part), int(whole))
        yield Held(
            (str(title_id), str(party_id)),
            ("DIRECT_TITLE", code, title_id, party_id, None, None, None, share, None, None, None,
             since),
            asset_id, share,
        )  # fmt: skip


def _tokens(
    session: Session, question: Question[OfPerson], holder: Holder, after: Sequence[Any]
) -> Iterator[Held]:
    block = question.block
    if block is None or not holder.wallets:
        return
    number, wallet = after or (0, "")
    asked = {
        "chain": question.chain_id, "block": block.kept, "wallets": list(holder.wallets),
        "token": number, "wallet": bytes.fromhex(wallet),
    }  # fmt: skip
    query = _TOKENS.format(held=ever_held(block)).encode()
    with cursor_of(session) as cursor:
        found = cursor.execute(query, asked).fetchall()
    for token_no, holder_no, address, *token, units, frozen, stopped, supply, kept in found:
        had, locked, whole = int(units), int(frozen), int(supply)
        is_frozen, since = stopped, kept
        if block.lost is not None:
            changed = block.lost.changes(token_no).get(holder_no, (0, 0))
            had, locked = had + changed[0], locked + changed[1]
            is_frozen = block.lost.freezes(token_no).get(holder_no, stopped)
            whole += block.lost.minted(token_no)
            since = since_with(kept, block.lost.steps(token_no).get(holder_no, ()), had)
        if not had:
            continue
        token_id, symbol, declared, economic_num, economic_den, asset_id, code = token
        of_asset = None
        if token_id is not None:
            of_asset = Fraction(had, declared) * Fraction(economic_num, economic_den)
        yield Held(
            (token_no, address.hex()),
            ("TOKEN", code, None, holder.party_id, token_id, symbol, address,
             Fraction(had, whole), had, locked, is_frozen, since),
            asset_id, of_asset,
        )  # fmt: skip


SOURCES: tuple[Source, ...] = (_titles, _tokens)
BEHIND = len(SOURCES)
"""The place of what others hold, after what the person does."""

HOLDINGS = Report(
    code="R-04",
    title="All holdings of a person",
    title_ur="ایک شخص کی تمام ملکیت",
    parameters=OfPerson,
    columns=COLUMNS,
    rows=_rows,
    speaks_of_chain=True,
    counts_holders=True,
    planned_once=True,
)
