"""Rows written by plain SQL, past every service: what the database itself refuses."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

_numbers = itertools.count(1)


def insert(session: Session, table: str, **columns: Any) -> UUID:
    """Insert one row; `id` and `recorded_at` are filled in."""
    values = {"id": uuid4(), **columns}
    names = ", ".join(values)
    slots = ", ".join(
        f"CAST(:{name} AS jsonb)" if isinstance(value, Mapping) else f":{name}"
        for name, value in values.items()
    )
    written = {
        name: json.dumps(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
    }
    sql = f"INSERT INTO {table} ({names}, recorded_at) VALUES ({slots}, now())"
    session.connection().execute(text(sql), written)
    row_id: UUID = values["id"]
    return row_id


def execute(session: Session, sql: str, **values: Any) -> None:
    session.connection().execute(text(sql), values)


def refused_by(session: Session, constraint: str, sql: str, **values: Any) -> None:
    """Assert that exactly `constraint` refuses the statement, deferred ones included."""
    with pytest.raises(IntegrityError) as refusal:
        _run_and_settle(session, sql, values)
    assert refusal.value.orig is not None
    diagnosis: Any = refusal.value.orig
    assert diagnosis.diag.constraint_name == constraint


def _run_and_settle(session: Session, sql: str, values: Mapping[str, Any]) -> None:
    with session.begin_nested():
        execute(session, sql, **values)
        settle(session)


def settle(session: Session) -> None:
    """Have every deferred constraint looked at, as a COMMIT would."""
    execute(session, "SET CONSTRAINTS ALL IMMEDIATE")
    execute(session, "SET CONSTRAINTS ALL DEFERRED")


def party(session: Session, name: str = "A company") -> UUID:
    said = {"kind": "LEGAL", "name": name, "residence_country": "PK", "created_by": "sql"}
    return insert(session, "party", version=1, **said)


def asset(session: Session) -> UUID:
    return insert(
        session,
        "asset",
        code=f"SQL-{next(_numbers)}",
        asset_class="LAND_APARTMENT",
        title_regime="DHA_TRANSFER_LETTER",
        state="DRAFT",
        location={},
        details={},
        maker="sql",
        version=1,
    )


def title(session: Session, state: str = "PROPOSED") -> UUID:
    return insert(session, "title", asset_id=asset(session), state=state)


def version(session: Session, title_id: UUID, **columns: Any) -> UUID:
    """Insert a version without shares; pass `shares` to give it its owners."""
    shares = columns.pop("shares", [])
    values = {
        "title_id": title_id,
        "seq": next(_numbers),
        "basis": "REGISTERED_DEED",
        "kul_hissay": sum(shares) or 1,
        "valid_from": "2026-01-01T00:00:00Z",
        "maker": "sql",
    }
    version_id = insert(session, "title_version", **values | columns)
    for hissa in shares:
        share(session, version_id, hissa)
    return version_id


def share(session: Session, version_id: UUID, hissa: int) -> UUID:
    party_id = party(session)
    execute(
        session,
        "INSERT INTO title_share (version_id, party_id, hissa) VALUES (:version, :party, :hissa)",
        version=version_id,
        party=party_id,
        hissa=hissa,
    )
    return party_id


def document(session: Session, asset_id: UUID, sha256: bytes, state: str = "VERIFIED") -> UUID:
    return insert(
        session,
        "document",
        asset_id=asset_id,
        kind="NEC",
        sha256=sha256,
        size_bytes=1,
        media_type="application/pdf",
        stored_as=bytes(32),
        sealed=b"sealed",
        sealed_with=bytes(8),
        state=state,
        released=False,
        uploaded_by="sql",
    )


def tokenization(session: Session, asset_id: UUID, **columns: Any) -> UUID:
    values = {
        "asset_id": asset_id,
        "state": "STRUCTURED",
        "symbol": f"SQL{next(_numbers)}",
        "name": "Plain",
        "declared_fractions": 100,
        "price_paisa": 1,
        "economic_share_num": 1,
        "economic_share_den": 1,
        "structured_by": "sql",
    }
    return insert(session, "tokenization", **values | columns)


def offering(session: Session, tokenization_id: UUID, **columns: Any) -> UUID:
    values = {
        "tokenization_id": tokenization_id,
        "state": "OPEN",
        "offered_units": 100,
        "minimum_units": 0,
        "min_ticket_units": 1,
        "price_paisa": 1,
        "reserved_units": 0,
        "opened_by": "sql",
    }
    return insert(session, "offering", **values | columns)


def operation(session: Session, **columns: Any) -> UUID:
    values: dict[str, Any] = {
        "kind": "pause",
        "key": f"sql:{next(_numbers)}",
        "state": "planned",
        "subject_kind": "tokenization",
        "subject_id": "none",
        "requested_by": "sql",
        "params": {},
        "result": {},
    }
    return insert(session, "operation", **values | columns)


def approval(session: Session, subject_id: UUID, **columns: Any) -> UUID:
    values = {
        "subject_kind": "asset",
        "subject_id": subject_id,
        "role": "compliance",
        "person": f"person-{next(_numbers)}",
        "maker": "the-maker",
        "dossier_hash": b"\x01" * 32,
        "expires_at": "2999-01-01T00:00:00Z",
    }
    return insert(session, "approval", **values | columns)
