"""What a report is: its parameters, its columns, and one function that reads its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.kernel.actor import OVERSIGHT, Role
from registry.kernel.vault import Vault


class Kind(StrEnum):
    """What stands in a column, and so how it is written; nothing is None in each of them."""

    TEXT = "text"
    COUNT = "count"
    """A small whole number: of rows, days, blocks."""
    UNITS = "units"
    """A whole number of any size."""
    MONEY = "money"
    """Whole paisa."""
    FRACTION = "fraction"
    """Exact, as `fractions.Fraction`."""
    DECIMAL = "decimal"
    """Exact, as `decimal.Decimal`."""
    FLAG = "flag"
    DATE = "date"
    TIME = "time"
    HASH = "hash"
    ADDRESS = "address"
    ACCOUNT = "account"
    """An address on the chain of the question (CAIP-10)."""
    ID = "id"


Mask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Parameters
    ----------
    personal
        How its text is masked, where it tells of a person; None where it does not. `Open` texts
        are shown as they are: the name of a company in a column of names.
    says
        What stands in it, where its name does not tell.
    is_key
        Its text is a key of a thing, in the form that its kind has (`registry.asset.law`): nobody
        types a person into it, and what looks like a person's number is the thing's.
    """

    name: str
    kind: Kind = Kind.TEXT
    personal: Mask | None = None
    says: str | None = None
    is_key: bool = False


class Open(str):
    """A text in a personal column that names no natural person."""

    __slots__ = ()


class Parameters(BaseModel):
    """What a report is asked by; each field is a parameter of its query, and checked as such."""


P = TypeVar("P", bound=Parameters)
Key = tuple[str | int, ...]


class Row(NamedTuple):
    """One row: where it stands in the report's order, and its values in the columns' order."""

    key: Key
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Generic[P]):
    """What somebody asks a report.

    The session is read-only and repeatable, and its legal tables are as the register knew them at
    `known_at`; what was so in law at `moment` the report asks for itself.

    Parameters
    ----------
    moment
        `as_of`: that time, the time of that block, or now.
    is_of_now
        Neither `as_of` nor `known_at` was asked for: tables without a past answer as they stand.
    block
        The last block at `moment`. None where the chain tells nothing of then, and the report
        answers nonetheless (`Report.needs_block`).
    reader
        The person who asks, by a key of theirs too: nobody reads of a suspicion of themselves.
    tells_suspicions
        Whether the reader may know of another's.
    after
        Key of the last row of the page before.
    limit
        How many rows a page has; None for the whole.
    at_most
        Of the whole: of how many rows there is an answer. Whoever finds one more is refused.
    parties
        Who is asked about, whose details were opened, or of whom a row tells by their id, for the
        journal; `registry.report.people` notes those that it opens. Whom a row tells of is noted
        when it is made, and not before: the row beyond a page is read, and nobody sees it.
    """

    parameters: P
    moment: datetime
    known_at: datetime
    is_of_now: bool
    chain_id: int
    block: AsOfBlock | None
    vault: Vault
    reader: str
    tells_suspicions: bool
    after: Key | None = None
    limit: int | None = None
    at_most: int | None = None
    parties: set[UUID] = field(default_factory=set)

    @property
    def fetch(self) -> int | None:
        """How many rows to ask the database for: one beyond the page, or beyond what a file holds.

        None, which is LIMIT ALL, for whoever names neither.
        """
        most = self.at_most if self.limit is None else self.limit
        return None if most is None else most + 1

    def at_once(self, many: int) -> int:
        """How many rows to read at a time: those of a page together, of a file so many."""
        return many if self.limit is None else self.limit + 1

    @property
    def at_block(self) -> AsOfBlock:
        """The block, of a report that needs one."""
        assert self.block is not None, "needs_block"
        return self.block


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Generic[P]):
    """One report of the catalogue.

    Parameters
    ----------
    rows
        Yields the rows in the order of their keys, from behind `after` on; what it yields beyond
        `limit` or `at_most` is not read. Each is made when it is asked for (`Question.parties`).
    speaks_of_chain
        Then `as_of` may be a block; there is no answer without one, unless it `counts_holders` too.
    counts_holders
        Where nobody held anything yet, it tells so; then not before the chain was read.
    of_one_moment
        What its rows tell gives them their order, or they add up to one whole: every page is of the
        moment of the first.
    planned_once
        What it asks is of one person, whom one plan serves as well as another: the server makes it
        once for everybody, since to plan for each takes it longer than to answer.
    restricted_to
        Who may read it.
    """

    code: str
    title: str
    title_ur: str
    parameters: type[P]
    columns: tuple[Column, ...]
    rows: Callable[[Session, Question[P]], Iterator[Row]]
    speaks_of_chain: bool = False
    counts_holders: bool = False
    of_one_moment: bool = False
    planned_once: bool = False
    restricted_to: frozenset[Role] = OVERSIGHT

    @property
    def name(self) -> str:
        """The name of its operation: ``read_report_r_05``."""
        return f"read_report_{self.code.lower().replace('-', '_')}"

    @property
    def needs_block(self) -> bool:
        """Whether nothing is told of a time before the chain was read: land is older than that."""
        return self.speaks_of_chain and not self.counts_holders

    @property
    def is_personal(self) -> bool:
        return any(column.personal for column in self.columns)
