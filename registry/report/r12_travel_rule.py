"""R-12: what travels with a transfer (FATF Recommendation 16), in the terms of IVMS101.

Both sides are customers of this register where their wallets are proven; of any other wallet
nothing is known, and the row says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from pydantic import AwareDatetime, Field
from sqlmodel import Session, col, select

from registry.captable.branches import first_known_since
from registry.captable.bulk import cursor_of
from registry.captable.models import EventKind
from registry.captable.transfers import of_branch
from registry.investor.models import Investor, Wallet
from registry.kernel.clock import day_of
from registry.kernel.masking import HIDDEN
from registry.kernel.money import PAISA_PER_RUPEE
from registry.kernel.rows import among
from registry.party.details import known_of
from registry.party.models import Party, PartyKind
from registry.policy.models import PolicyName
from registry.policy.service import policy_on
from registry.report.movements import AT_ONCE, tokens_of
from registry.report.people import person_of
from registry.report.prices import SOLD_ABOVE, prices_of
from registry.report.report import Column, Key, Kind, Question, Report, Row
from registry.report.report import Parameters as Asked

VASP = "Milkiyat"
"""Whose customers both sides are."""
_MANY = 20_000
"""So many are read at once of a whole file: each statement looks for what was sold anew."""


class Parameters(Asked):
    """Which transfers."""

    since: Annotated[
        AwareDatetime | None, Field(description="The beginning of the period, to `as_of`")
    ] = None
    min_rupees: Annotated[
        int | None,
        Field(
            ge=0,
            lt=10**12,
            description="Only above so many rupees, as paid, or at the price of issue where nobody "
            "told us; without it, what the policy TRAVEL_RULE says of the day of `as_of`",
        ),
    ] = None
    token: Annotated[UUID | None, Field(description="The id of its tokenization")] = None


def _least_paisa(session: Session, question: Question[Parameters]) -> int:
    rupees = question.parameters.min_rupees
    if rupees is not None:
        return rupees * PAISA_PER_RUPEE
    return int(policy_on(session, PolicyName.TRAVEL_RULE, day_of(question.moment)).value)


def _hidden(_: str) -> str:
    return HIDDEN


def _columns(side: str) -> tuple[Column, ...]:
    return (
        Column(f"{side}_person"),
        Column(f"{side}_name", personal=_hidden),
        Column(f"{side}_national_identification", personal=_hidden),
        Column(f"{side}_identification_country", personal=_hidden),
        Column(f"{side}_date_of_birth", personal=_hidden),
        Column(f"{side}_address", personal=_hidden),
        Column(f"{side}_country_of_residence"),
        Column(f"{side}_account", Kind.ACCOUNT),
        Column(f"{side}_vasp"),
    )


COLUMNS = (
    Column("time", Kind.TIME),
    Column("tx", Kind.HASH),
    Column("token", Kind.ID),
    Column("units", Kind.UNITS),
    Column("amount", Kind.MONEY),
    *_columns("originator"),
    *_columns("beneficiary"),
    Column("status"),
)

# So many of each token at most; a price is a whole number, and so are units. What was sold for more
# than the price of issue is found by its transaction; what was for less is left out by `_moved`.
_TRANSFERS = f"""
SELECT t.token_no, e.block_number, e.log_index, b.mined_at, e.tx_hash, e.units, s.address, d.address
FROM (
  SELECT t.*, k.price_paisa FROM tokenization k
  JOIN token t ON t.address = k.token_address AND t.chain_id = %(chain)s
  WHERE t.token_no >= %(token_no)s AND t.token_no = ANY(%(tokens)s)) t
CROSS JOIN LATERAL (
  SELECT * FROM {{events}}
  WHERE token_no = t.token_no AND kind = {EventKind.TRANSFER:d}
    AND source IS NOT NULL AND target IS NOT NULL
    AND block_number >= %(first)s AND block_number <= %(last)s
    AND (block_number, log_index) > (
      CASE WHEN t.token_no > %(token_no)s THEN %(first)s::int8
        ELSE greatest(%(block)s::int8, %(first)s::int8) END,
      CASE WHEN t.token_no > %(token_no)s OR %(block)s::int8 < %(first)s::int8 THEN -1
        ELSE %(log)s::int4 END)
    AND (units > div(%(least)s::numeric, nullif(t.price_paisa, 0)) OR tx_hash IN ({SOLD_ABOVE}))
  ORDER BY block_number, log_index LIMIT %(limit)s) e
JOIN {{blocks}} b ON b.chain_id = t.chain_id AND b.number = e.block_number
JOIN holder s ON s.holder_no = e.source JOIN holder d ON d.holder_no = e.target
ORDER BY t.token_no, e.block_number, e.log_index LIMIT %(limit)s
"""  # noqa: S608 - a number of our own


class _Found(NamedTuple):
    """A transfer, as it is read."""

    token_no: int
    block_number: int
    log_index: int
    mined_at: datetime
    tx_hash: bytes
    units: int
    source: bytes
    target: bytes

    @property
    def key(self) -> tuple[int, int, int]:
        return self.token_no, self.block_number, self.log_index


class _Moved(NamedTuple):
    """A transfer of a token, and what was paid; where nobody told us, the price at issue."""

    row: _Found
    token_id: UUID
    paisa: int


@dataclass(frozen=True, slots=True)
class _Side:
    """What IVMS101 wants of one side."""

    person: str | None = None
    name: str | None = None
    identification: str | None = None
    identified_in: str | None = None
    birth: str | None = None
    address: str | None = None
    country: str | None = None

    @property
    def is_whole(self) -> bool:
        """A name, and one of what tells people of the same name apart."""
        told_apart = (self.identification, self.birth, self.address)
        return self.name is not None and any(told_apart)


_NOBODY = _Side()


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    moved = _moved(session, question)
    while some := list(islice(moved, question.at_once(AT_ONCE))):
        sides = _sides(session, question, [each.row for each in some])
        for row, token_id, paisa in some:
            given, taken = sides(row.source), sides(row.target)
            yield Row(
                row.key,
                (row.mined_at, row.tx_hash, token_id, row.units, paisa,
                 *_written(given, row.source), *_written(taken, row.target),
                 "COMPLETE" if given.is_whole and taken.is_whole else "INCOMPLETE"),
            )  # fmt: skip


def _moved(session: Session, question: Question[Parameters]) -> Iterator[_Moved]:
    """Yield the transfers above the threshold, token by token."""
    asked, until = question.parameters, question.at_block
    tokens = tokens_of(session, question, asked.token)
    query, known = of_branch(_TRANSFERS, until, sorted(tokens))
    least_paisa = _least_paisa(session, question)
    values = known | {
        "chain": question.chain_id,
        "first": first_known_since(session, question.chain_id, asked.since, until) or 0,
        "last": until.number,
        "least": least_paisa,
    }
    after, at_once = question.after or (0, -1, -1), question.at_once(_MANY)
    while some := _found(session, query, values, after, at_once):
        paid = prices_of(session, question.chain_id, some, until)
        for row in some:
            token = tokens[row.token_no]
            paisa = paid.get((row.tx_hash, row.log_index), row.units * token.price_paisa)
            if paisa > least_paisa:
                yield _Moved(row, token.id, paisa)
        if len(some) < at_once:
            return
        after, at_once = some[-1].key, max(at_once, AT_ONCE)


def _found(
    session: Session, query: str, values: Mapping[str, Any], after: Key, limit: int
) -> Sequence[_Found]:
    place = dict(zip(("token_no", "block", "log"), after, strict=True))
    with cursor_of(session) as cursor:
        found = cursor.execute(query.encode(), {**values, **place, "limit": limit})
        return [_Found._make((*row[:5], int(row[5]), *row[6:])) for row in found]


def _written(side: _Side, address: bytes) -> tuple[Any, ...]:
    return (side.person, side.name, side.identification, side.identified_in, side.birth,
            side.address, side.country, address,
            VASP if side is not _NOBODY else None)  # fmt: skip


def _sides(
    session: Session, question: Question[Any], found: Sequence[_Found]
) -> Callable[[bytes], _Side]:
    """Read whose the wallets are; each is opened when the first row tells of it."""
    addresses = {address for row in found for address in (row.source, row.target)}
    rows = session.exec(
        select(Wallet.address, Party)
        .join(Investor, col(Investor.id) == col(Wallet.investor_id))
        .join(Party, col(Party.id) == col(Investor.party_id))
        .where(among(col(Wallet.address), sorted(addresses)))
    )
    parties = {address: party for address, party in rows}  # noqa: C416 - rows are no pairs to mypy

    @cache
    def side(address: bytes) -> _Side:
        party = parties.get(address)
        return _NOBODY if party is None else _side(question, party)

    return side


def _side(question: Question[Any], party: Party) -> _Side:
    person = person_of(question, party)
    known = known_of(question.vault, party)
    is_natural = party.kind == PartyKind.NATURAL
    number, of_country = party.lei or known.ntn or party.cuin, None
    if is_natural:
        papers = ((person.cnic, "PK"), (known.passport, known.passport_country))
        number, of_country = next((each for each in papers if each[0]), (None, None))
    return _Side(
        person="naturalPerson" if is_natural else "legalPerson",
        name=person.name,
        identification=number,
        identified_in=of_country,
        birth=known.dob.isoformat() if known.dob else None,
        address=_address(known.address),
        country=party.residence_country,
    )


def _address(said: Mapping[str, Any] | None) -> str | None:
    """Write an address of IVMS101 in one line."""
    if not said:
        return None
    parts = [
        part for value in said.values() for part in (value if isinstance(value, list) else [value])
    ]
    return ", ".join(str(part) for part in parts if part)


TRAVEL_RULE = Report(
    code="R-12",
    title="Travel-rule file (IVMS101)",
    title_ur="سفری قاعدے کی فائل",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
    speaks_of_chain=True,
)
