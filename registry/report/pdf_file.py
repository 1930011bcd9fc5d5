"""A report as PDF/A-3: laid out for people, with the signed record in it as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from registry.kernel.clock import written
from registry.kernel.money import Money, lakh_grouped
from registry.kernel.pdf import make_pdf
from registry.kernel.sealed_pdf import EMPTY_SEAL, seal_pdf
from registry.kernel.signing import SigningKey
from registry.report.report import Column, Kind, Report
from registry.report.values import cell_of

_TEMPLATE = Path(__file__).with_name("report.typ")
_NUMERIC = {Kind.COUNT, Kind.UNITS, Kind.MONEY, Kind.FRACTION, Kind.DECIMAL}
_MONOSPACE = {Kind.HASH, Kind.ADDRESS, Kind.ACCOUNT, Kind.ID}


def report_pdf(
    report: Report[Any], record: Mapping[str, Any], key: SigningKey, *, made_at: datetime
) -> bytes:
    """Lay a whole report out and seal the file."""
    envelope = record["envelope"]
    values = {
        "title": f"{report.code} {report.title}",
        "title_ur": report.title_ur,
        "head": _head(envelope, made_at),
        "columns": [_heading(column) for column in report.columns],
        "rows": [
            [_cell(column, item[column.name]) for column in report.columns]
            for item in record["items"]
        ],
        "footer": f"{report.code} · sha256 {envelope['content_sha256']} · {record['signature']}",
        "seal": EMPTY_SEAL,
        "record": json.dumps(record, ensure_ascii=False),
    }
    content = make_pdf(_TEMPLATE, values, made_at=made_at, standard="a-3b")
    return seal_pdf(content, key)


def _head(envelope: Mapping[str, Any], made_at: datetime) -> list[dict[str, str]]:
    block = envelope["block"]
    lines = {
        "Asked for": ", ".join(f"{k} {cell_of(v)}" for k, v in envelope["parameters"].items()),
        "As of": envelope["as_of"],
        "As known at": envelope["known_at"],
        "Block": f"{block['chain']} {block['number']} {block['hash']}, {block['finality']}"
        if block
        else "",
        "Purpose": envelope["purpose"],
        "Legal basis": envelope["legal_basis"],
        "Made": written(made_at),
        "Rows": str(envelope["rows"]),
        "Signed by key": envelope["key"],
    }
    return [{"label": label, "value": value} for label, value in lines.items() if value]


def _heading(column: Column) -> dict[str, Any]:
    return {
        "name": column.name.replace("_", " "),
        "numeric": column.kind in _NUMERIC,
        "small": column.kind in _MONOSPACE,
    }


def _cell(column: Column, value: Any) -> str:
    if value is not None and column.kind is Kind.MONEY:
        amount = value["amount"]
        grouped = lakh_grouped(Money.parse(amount.removeprefix("-")))
        return f"-{grouped}" if amount.startswith("-") else grouped
    written_out = cell_of(value)
    return written_out.replace("T", " ") if column.kind is Kind.TIME else written_out
