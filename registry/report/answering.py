"""Asking a report: one page of it, or the whole of it as a file; and the journal's entry."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock
from registry.captable.branches import known_block_at
from registry.captable.bulk import cursor_of
from registry.captable.models import ChainBlock
from registry.captable.readings import require_all_known
from registry.captable.service import sync_state
from registry.filing import suspicion
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from registry.kernel.masking import mask_fields
from registry.kernel.papers import signed
from registry.kernel.signing import SigningKey
from registry.kernel.vault import Vault
from registry.party.revealing import MAY_REVEAL
from registry.report.csv_file import CsvWriter
from registry.report.envelope import Asking, ContentHash, FirstPage, envelope_of
from registry.report.pdf_file import report_pdf
from registry.report.report import Key, Parameters, Question, Report, Row
from registry.report.values import AddressOf, Writer, cells_of, written_time
from registry.tokenization.models import Tokenization

MAX_CSV_ROWS = 200_000
MAX_PDF_ROWS = 2_000
_OF_FEW_ROWS = (
    b"SELECT set_config('max_parallel_workers_per_gather', '0', true),"
    b" set_config('jit', 'off', true)"
)
_PLANNED_ONCE = _OF_FEW_ROWS + b", set_config('plan_cache_mode', 'force_generic_plan', true)"


@dataclass(frozen=True, slots=True)
class House:
    """Who answers.

    Parameters
    ----------
    key
        Signs.
    """

    chain_id: int
    vault: Vault
    key: SigningKey
    address_of: AddressOf


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows as JSON says them, signed; `last_key` is None at the end."""

    record: dict[str, Any]
    last_key: Key | None


class Desk:
    """Answers one question with one report.

    Parameters
    ----------
    parties
        Of whom the answer tells, once it is given.

    Raises
    ------
    Forbidden
        ``reveal_not_allowed``.
    Invalid
        ``as_of_block_not_spoken_of``.
    """

    def __init__(
        self, session: Session, house: House, report: Report[Any], parameters: Parameters,
        asking: Asking, *, reader: Actor, after: Key | None = None, limit: int | None = None,
    ) -> None:  # fmt: skip
        block = _block_of(session, house.chain_id, report, asking)
        as_of = asking.as_of
        if isinstance(as_of, int):
            assert block is not None
            as_of = block.mined_at
        self._session, self._house, self.report, self.asking = session, house, report, asking
        self.question = Question(
            parameters=parameters,
            moment=asking.first.moment if asking.first else as_of or asking.made_at,
            known_at=asking.known_at or _known_now(session, house.chain_id, report, asking, block),
            is_of_now=asking.as_of is None and asking.known_at is None,
            chain_id=house.chain_id,
            block=block,
            vault=house.vault,
            reader=reader.person,
            tells_suspicions=suspicion.may_read(reader),
            after=after,
            limit=limit,
        )
        self._writer = Writer(report.columns, house.chain_id, house.address_of, asking.reveal)
        self._names = [column.name for column in report.columns]
        self.content = ContentHash.begin(self._names)
        self.parties: Collection[UUID] = self.question.parties
        self._last: Key | None = None

    def page(self) -> Answer:
        """Answer with a page; one row beyond it tells that there is more."""
        limit = self.question.limit
        assert limit is not None
        # Workers that the planner would start, and what it would compile, take longer than a page.
        with cursor_of(self._session) as cursor:
            cursor.execute(_PLANNED_ONCE if self.report.planned_once else _OF_FEW_ROWS)
        rows = self.report.rows(self._session, self.question)
        found = list(islice(rows, limit))
        # Whom the row beyond tells of nobody reads.
        self.parties = frozenset(self.question.parties)
        is_last = next(rows, None) is None
        items = [self._item(row) for row in found]
        record = self._sealed(is_last=is_last) | {"items": items}
        return Answer(record, None if is_last else self._key_of(found[-1]))

    def _key_of(self, row: Row) -> Key:
        """Give the key behind which the next page begins, and what it is to be of."""
        question = self.question
        if not self.report.of_one_moment:
            return row.key
        number = -1 if question.block is None else question.block.number
        return (question.moment.isoformat(), question.known_at.isoformat(), number, *row.key)

    def write_csv(self, target: BinaryIO) -> None:
        """Write the whole report.

        Raises
        ------
        Conflict
            ``report_too_long``.
        """
        writer = CsvWriter(target, self.report.columns)
        for item in self._whole(MAX_CSV_ROWS):
            writer.write(item)
        writer.end(self._sealed(is_last=True))

    def pdf(self) -> bytes:
        """Lay the whole report out.

        Raises
        ------
        Conflict
            ``report_too_long``.
        """
        items = list(self._whole(MAX_PDF_ROWS))
        record = self._sealed(is_last=True) | {"items": items}
        return report_pdf(self.report, record, self._house.key, made_at=self.asking.made_at)

    def _whole(self, most: int) -> Iterator[dict[str, Any]]:
        # It reads no further than to know that there is too much.
        question = replace(self.question, at_most=most)
        for row in self.report.rows(self._session, question):
            if self.content.rows == most:
                raise Conflict(
                    "report_too_long",
                    f"The report has more than {most} rows, the most of a file of this format.",
                    remedy="Narrow the question, or read it page by page as JSON.",
                )
            yield self._item(row)

    def _item(self, row: Row) -> dict[str, Any]:
        item = self._writer.write(row)
        self.content.add(cells_of(self._names, item))
        self._last = row.key
        return item

    def _sealed(self, *, is_last: bool) -> dict[str, Any]:
        envelope = envelope_of(
            self.report,
            self.question,
            self.asking,
            self.content,
            last=self._last,
            is_last=is_last,
        )
        return signed(envelope, self._house.key)


def require_right_to_reveal(actor: Actor) -> None:
    """Refuse who may not see persons.

    Raises
    ------
    Forbidden
        ``reveal_not_allowed``.
    """
    if not actor.has(*MAY_REVEAL):
        raise Forbidden("reveal_not_allowed", "Only compliance and the regulator see more.")


def note_reading(session: Session, actor: Actor, desk: Desk, file_format: str) -> None:
    """Write down who read what of whom, and why; before anything of it leaves the house."""
    report, question, asked = desk.report, desk.question, desk.asking
    journal.record_reading(
        session,
        actor,
        "personal_data_read" if report.is_personal or desk.parties else "report_read",
        ("report", report.code),
        desk.parties,
        purpose=asked.purpose,
        legal_basis=asked.legal_basis,
        roles=sorted(actor.roles),
        format=file_format,
        # A parameter may be somebody's number.
        parameters=mask_fields(question.parameters.model_dump(mode="json", exclude_none=True)),
        as_of=written_time(question.moment),
        known_at=written_time(question.known_at),
        block=question.block.number if question.block else None,
        revealed=asked.reveal,
        rows=desk.content.rows,
        content_sha256=desk.content.hexdigest(),
    )


def _block_of(
    session: Session, chain_id: int, report: Report[Any], asking: Asking
) -> AsOfBlock | None:
    if isinstance(asking.as_of, int) and not report.speaks_of_chain:
        raise Invalid(
            "as_of_block_not_spoken_of",
            f"{report.code} does not speak of the chain: its as_of is a time.",
            field="as_of",
            remedy='Write "2026-07-28T09:00:00Z".',
        )
    first, as_of = asking.first, asking.as_of
    if first is not None:
        if first.block is None:
            return None
        as_of = first.block
    try:
        block = known_block_at(session, chain_id, as_of, asking.known_at)
    except (NotFound, Unavailable):
        if report.needs_block or isinstance(as_of, int):
            raise
        if report.counts_holders and _is_any_deployed(session):
            # Who holds what nobody has read is not known: it is not nobody.
            sync_state(session, chain_id)
        return None
    if report.speaks_of_chain or report.counts_holders:
        require_all_known(session, chain_id, asking.known_at, block=block.number)
    return block


def _known_now(
    session: Session, chain_id: int, report: Report[Any], asking: Asking, block: AsOfBlock | None
) -> datetime:
    """Return the moment whose knowledge the pages of a report are of that is asked for now."""
    if report.of_one_moment and block is not None:
        stored = session.get(ChainBlock, (chain_id, block.number))
        if stored is not None:
            # It may have come since we were asked, and by the clock of the database.
            return max(asking.made_at, stored.recorded_at)
    return asking.made_at


def _is_any_deployed(session: Session) -> bool:
    deployed = select(Tokenization.id).where(col(Tokenization.token_address).is_not(None))
    return session.exec(deployed.limit(1)).first() is not None


def going_on(report: Report[Any], asking: Asking, cursor: str | None) -> tuple[Asking, Key | None]:
    """Read behind which row a page begins; of a report of one moment, also of which it is.

    Raises
    ------
    Invalid
        ``cursor_invalid``.
    """
    if cursor is None:
        return asking, None
    key = read_key(cursor)
    if not report.of_one_moment:
        return asking, key
    if len(key) <= len(FirstPage._fields):
        raise Invalid("cursor_invalid", "This cursor is of an older version: begin again.")
    moment, known_at, number, *place = key
    first = FirstPage(
        datetime.fromisoformat(str(moment)),
        datetime.fromisoformat(str(known_at)),
        None if int(number) < 0 else int(number),
    )
    return replace(asking, known_at=first.known_at, first=first), tuple(place)


def key_text(key: Key) -> str:
    return json.dumps(key, separators=(",", ":"))


def read_key(text: str) -> Key:
    """Read what `key_text` wrote; only our own cursors come here."""
    return tuple(json.loads(text))
