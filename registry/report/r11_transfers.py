"""R-11: every transfer of a period, with what was paid for it where that is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import Field
from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.branches import first_known_since
from registry.captable.models import Token
from registry.captable.registered import registered_at
from registry.captable.transfers import TransferRow, list_transfers_of
from registry.kernel.money import Money
from registry.report.countries import letters_of
from registry.report.movements import AT_ONCE, InPeriod, Tokenized, tokens_of
from registry.report.prices import prices_of
from registry.report.report import Column, Kind, Question, Report, Row


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


@dataclass(frozen=True, slots=True)
class Moved:
    """A transfer of a token, and the whole price where somebody paid us one."""

    tokenization: Tokenized
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
    for moved in _moved(session, question):
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


def _moved(session: Session, question: Question[Parameters]) -> Iterator[Moved]:
    """Yield what moved of any of the tokens: of one chain, whose every log has one place."""
    asked, until = question.parameters, question.at_block
    tokens = tokens_of(session, question, asked.token)
    since = first_known_since(session, question.chain_id, asked.since, until)
    number, index = question.after or (-1, -1)
    after, at_once = (int(number), int(index)), question.at_once(AT_ONCE)
    while some := list_transfers_of(
        session, question.chain_id, list(tokens), since=since or 0, until=until,
        after=after, limit=at_once,
    ):  # fmt: skip
        paid = prices_of(session, question.chain_id, [row for _, row in some], until)
        countries = _countries(session, until, some)
        for token_no, row in some:
            price = paid.get((row.tx_hash, row.log_index))
            yield Moved(tokens[token_no], row, price, countries[token_no])
        if len(some) < at_once:
            return
        # Whoever goes on has been told a page already: of a large amount there are few.
        after, at_once = (row.block_number, row.log_index), AT_ONCE


def _countries(
    session: Session, block: AsOfBlock, some: Sequence[tuple[int, TransferRow]]
) -> dict[int, dict[bytes, int]]:
    """Return the country of each wallet that is named, by the registry of each token."""
    named: dict[int, set[bytes]] = {}
    for token_no, row in some:
        named.setdefault(token_no, set()).update(
            wallet for wallet in (row.source, row.target) if wallet
        )
    return {
        token_no: {
            wallet: each.country
            for wallet, each in registered_at(
                session, session.get_one(Token, token_no), block, wallets
            ).items()
        }
        for token_no, wallets in named.items()
    }


TRANSFERS = Report(
    code="R-11",
    title="Transfers",
    title_ur="منتقلیاں",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
    speaks_of_chain=True,
)
