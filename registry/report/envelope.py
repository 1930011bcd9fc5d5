"""What is signed of an answer: what was asked, of which moment and block, and the rows' hash.

The same rows have the same hash in every format: it is that of the RFC 8785 form of all their
cells as texts, the columns' names first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import rfc8785

from registry.report.report import Column, Key, Question, Report
from registry.report.values import written_time

FORM = "milkiyat-report/2"
FORMS = (FORM, "milkiyat-report/1")
"""Those that we ever signed. The first one did not say behind what a page begins."""


@dataclass(slots=True)
class ContentHash:
    """The hash of rows that pass by, so that no report has to stand in memory for it."""

    rows: int = 0
    _digest: Any = field(default_factory=hashlib.sha256)

    @classmethod
    def begin(cls, names: Sequence[str]) -> ContentHash:
        content = cls()
        content._digest.update(b"[" + rfc8785.dumps(list(names)))
        return content

    def add(self, cells: Sequence[str]) -> None:
        self._digest.update(b"," + rfc8785.dumps(list(cells)))
        self.rows += 1

    def hexdigest(self) -> str:
        whole = self._digest.copy()
        whole.update(b"]")
        return str(whole.hexdigest())


class FirstPage(NamedTuple):
    """Of which moment a first page was, what was known, and of which block; None without one."""

    moment: datetime
    known_at: datetime
    block: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How a report was asked for, and what its envelope says beside the rows.

    Parameters
    ----------
    confirmations_needed
        Of a final block.
    as_of, known_at
        As they were asked for; None for now.
    first
        What the first page was of, where this is a later one of the same moment.
    """

    purpose: str
    legal_basis: str
    reveal: bool
    as_of: int | datetime | None
    known_at: datetime | None
    confirmations_needed: int
    made_at: datetime
    first: FirstPage | None = None


def key_sha256(key: Key | None) -> str | None:
    """Return the hash by which two pages are known to join; None of no row."""
    return None if key is None else hashlib.sha256(rfc8785.dumps(list(key))).hexdigest()


def envelope_of(
    report: Report[Any], question: Question[Any], asking: Asking, content: ContentHash,
    *, last: Key | None, is_last: bool,
) -> dict[str, Any]:  # fmt: skip
    """Say what is signed; only what JSON can say.

    Parameters
    ----------
    last
        The key of the last row that is in it; None where there is none.
    """
    is_first = question.after is None
    return {
        "form": FORM,
        "report": report.code,
        "title": report.title,
        "parameters": question.parameters.model_dump(mode="json", exclude_none=True),
        "as_of": written_time(question.moment),
        "known_at": written_time(question.known_at),
        "block": _block(question, asking.confirmations_needed),
        "purpose": asking.purpose,
        "legal_basis": asking.legal_basis,
        "revealed": asking.reveal,
        "made_at": written_time(asking.made_at),
        "columns": [_column(column) for column in report.columns],
        "rows": content.rows,
        "is_whole": is_first and is_last,
        "is_first": is_first,
        "is_last": is_last,
        "follows_sha256": key_sha256(question.after),
        "last_sha256": key_sha256(last),
        "content_sha256": content.hexdigest(),
    }


def _column(column: Column) -> dict[str, str]:
    return {"name": column.name, "kind": column.kind.value}


def _block(question: Question[Any], needed: int) -> dict[str, Any] | None:
    block = question.block
    if block is None:
        return None
    settled = "finalized" if block.confirmations >= needed else "latest"
    return {
        "chain": f"eip155:{question.chain_id}",
        "number": block.number,
        "hash": f"0x{block.hash.hex()}",
        "time": written_time(block.mined_at),
        "finality": "orphaned" if block.is_orphaned else settled,
        "degraded": block.degraded,
    }
