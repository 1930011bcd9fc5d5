"""Reports over HTTP: what each answers with, made from its columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from api.schemas.common import MoneyAmount, Read
from registry.report.report import Kind, Report

_TYPES: Mapping[Kind, Any] = {Kind.COUNT: int, Kind.FLAG: bool, Kind.MONEY: MoneyAmount}
"""How JSON says each kind; all others are texts."""


class ReportBlockRead(Read):
    """The block of which a report speaks."""

    chain: str
    number: int
    hash: str
    time: str
    finality: str
    degraded: str | None


class ReportColumnRead(Read):
    """One column, and what stands in it."""

    name: str
    kind: str


class ColumnRead(ReportColumnRead):
    """The same of a report that can be asked for; `says` where the name does not tell."""

    says: str | None


class EnvelopeRead(Read):
    """What is signed: `content_sha256` is the same in every format.

    Of two pages that join, the one's `last_sha256` is the other's `follows_sha256`: hashes of the
    place of a row.
    """

    form: str
    report: str
    title: str
    parameters: dict[str, Any]
    as_of: str
    known_at: str
    block: ReportBlockRead | None
    purpose: str
    legal_basis: str
    revealed: bool
    made_at: str
    columns: list[ReportColumnRead]
    rows: int
    is_whole: bool
    is_first: bool
    is_last: bool
    follows_sha256: str | None
    last_sha256: str | None
    content_sha256: str
    key: str


class ReportRead(Read):
    """One report that can be asked for."""

    code: str
    title: str
    title_ur: str
    parameters: list[str]
    columns: list[ColumnRead]

    @classmethod
    def of(cls, report: Report[Any]) -> ReportRead:
        return cls(
            code=report.code,
            title=report.title,
            title_ur=report.title_ur,
            parameters=list(report.parameters.model_fields),
            columns=[ColumnRead(name=c.name, kind=c.kind, says=c.says) for c in report.columns],
        )


class SigningKeyRead(Read):
    """A public key by which reports are checked (RFC 8037)."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class SigningKeysRead(BaseModel):
    """The keys of reports, the one that signs first (RFC 7517)."""

    keys: list[SigningKeyRead]


def answer_model(report: Report[Any]) -> type[BaseModel]:
    """Make the model of a page of a report."""
    name = f"{report.code.replace('-', '')}{report.title.title().replace(' ', '')}"
    name = "".join(letter for letter in name if letter.isalnum())
    fields: dict[str, Any] = {
        column.name: (_TYPES.get(column.kind, str) | None, Field(..., description=column.says))
        for column in report.columns
    }
    row = create_model(f"{name}Row", __doc__=f"One row of {report.code}.", **fields)
    return create_model(
        f"{name}Read",
        __config__=ConfigDict(),
        __doc__=f"A page of {report.code}, signed.",
        items=(list[row], ...),
        next=(str | None, ...),
        envelope=(EnvelopeRead, ...),
        signature=(str, ...),
    )
