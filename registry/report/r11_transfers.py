"""R-11: every transfer of a period, with what was paid for it where that is known."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import Field
from sqlmodel import Session, col, select

from registry.captable.models import Token
from registry.captable.registered import registered_at
from registry.captable.transfers import TransferRow
from registry.kernel.money import Money
from registry.report.countries import letters_of
from registry.report.movements import AT_ONCE, InPeriod, movements, prices_of
from registry.report.report import Column, Kind, Question, Report, Row
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization


class Parameters(InPeriod):
    """Which transfers."""

    token: Annotated[UUID | None, Field(description="Only of this token")] = None
    min_value: Annotated[
        str | None,
        Field(max_length=24, description='Only of at least so many rupees, such as "100000.00"'),
    ] = None


_COUNTRY = (
    "Of the wallet's identity in the token's registry at the block of the answer, by its last KYC."
    " It stands for the country of the IP address, which nobody knows of a transfer: the holder's"
    " own wallet sends it to the chain, and what reaches us is the block."
)

COLUMNS = (
    Column("time", Kind.TIME),
    Column("token", Kind.ID),
    Column("symbol"),
    Column("from_wallet", Kind.ADDRESS),
    Column("from_country", says=_COUNTRY),
    Column("to_wallet", Kind.ADDRESS),
    Column("to_country", says=_COUNTRY),
    Column("units", Kind.UNITS),
    Column("price", Kind.MONEY),
    Column("value", Kind.MONEY),
    Column("kind"),
    Column("tx", Kind.HASH),
    Column("block", Kind.COUNT),
    Column("log", Kind.COUNT),
)
_FEW = 100


@dataclass(frozen=True, slots=True)
class Moved:
    """A transfer of a token, and the whole price where somebody paid us one."""

    tokenization: Tokenization
    row: TransferRow
    paid_paisa: int | None
    countries: Mapping[bytes, int]

    @property
    def place(self) -> tuple[int, int]:
        return self.row.block_number, self.row.log_index

    @property
    def value_paisa(self) -> int:
        """What was paid; where nobody told us, the price at issue."""
        if self.paid_paisa is not None:
            return self.paid_paisa
        return self.row.units * self.tokenization.price_paisa

    def country(self, wallet: bytes | None) -> str | None:
        return letters_of(self.countries.get(wallet)) if wallet is not None else None


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    least = question.parameters.min_value
    least_paisa = Money.parse(least, field="min_value").paisa if least is not None else 0
    streams = [
        _moved(session, question, tokenization, token)
        for tokenization, token in _tokens(session, question)
    ]
    # Of one chain, whose every log has one place.
    for moved in heapq.merge(*streams, key=lambda item: item.place):
        if moved.value_paisa < least_paisa:
            continue
        row, tokenization = moved.row, moved.tokenization
        yield Row(
            moved.place,
            (row.mined_at, tokenization.id, tokenization.symbol,
             row.source, moved.country(row.source), row.target, moved.country(row.target),
             row.units, moved.paid_paisa, moved.value_paisa, row.nature, row.tx_hash,
             row.block_number, row.log_index),
        )  # fmt: skip


def _tokens(session: Session, question: Question[Parameters]) -> list[tuple[Tokenization, Token]]:
    query = (
        select(Tokenization, Token)
        .join(Token, col(Token.address) == col(Tokenization.token_address))
        .where(col(Token.chain_id) == question.chain_id)
    )
    if question.parameters.token is not None:
        tokenizations.get_deployed(session, question.parameters.token)
        query = query.where(col(Tokenization.id) == question.parameters.token)
    return [(tokenization, token) for tokenization, token in session.exec(query).all()]


def _moved(
    session: Session, question: Question[Parameters], tokenization: Tokenization, token: Token
) -> Iterator[Moved]:
    number, index = question.after or (-1, -1)
    for some in movements(
        session,
        token,
        question.parameters,
        question.at_block,
        after=(int(number), int(index)),
        at_once=min(question.fetch or AT_ONCE, _FEW) if question.limit else AT_ONCE,
    ):
        paid = prices_of(session, some)
        named = {wallet for row in some for wallet in (row.source, row.target) if wallet}
        registered = registered_at(session, token, question.at_block, named)
        countries = {wallet: each.country for wallet, each in registered.items()}
        for row in some:
            price = paid.get((row.tx_hash, row.target)) if row.target else None
            yield Moved(tokenization, row, price, countries)


TRANSFERS = Report(
    code="R-11",
    title="Transfers",
    title_ur="منتقلیاں",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
    speaks_of_chain=True,
)
