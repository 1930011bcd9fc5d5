"""Reports as tests ask for them, and the register replayed from its journal, to compare with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlmodel import col, select

from api.verify_cli import verify_paper
from registry.kernel.actor import Role
from registry.kernel.signing import PublicKeys
from registry.party.details import cnic_of, known_of
from registry.party.models import Party
from tests.api.house import House
from tests.db.past import journal_of

WHY = {"purpose": "inspection 7/2026", "legal_basis": "section 4 of the Act"}


def ask(house: House, code: str, role: Role = Role.REGULATOR, **query: Any) -> httpx.Response:
    return house.caller(role).get(f"/v1/reports/{code}", **(WHY | query))


def read(house: House, code: str, role: Role = Role.REGULATOR, **query: Any) -> dict[str, Any]:
    """Read a page, whose signature holds."""
    response = ask(house, code, role, **query)
    assert response.status_code == 200, response.text
    verify_paper(response.content, public_keys(house))
    page: dict[str, Any] = response.json()
    return page


def rows_of(house: House, code: str, **query: Any) -> list[dict[str, Any]]:
    """Read a report to its end, page by page."""
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = read(house, code, **(query | cursor))
        rows += page["items"]
        if page["next"] is None:
            return rows
        cursor = {"cursor": page["next"]}


def public_keys(house: House) -> PublicKeys:
    return PublicKeys.read(house.stranger().get("/v1/public_keys").text)


@dataclass(frozen=True)
class Replayed:
    """Every legal row as the sealed journal tells it: no table is read but the journal's own."""

    facts: list[dict[str, Any]]

    @classmethod
    def of(cls, house: House) -> Replayed:
        entries = journal_of(house.database)
        return cls([entry for entry in entries if entry["kind"] == "fact"])

    def rows(self, table: str, *, at: datetime | None = None, **wanted: Any) -> Iterator[Any]:
        """Yield the rows of a table as they were recorded by a moment, with these values."""
        found: dict[str, dict[str, Any]] = {}
        for fact in self.facts:
            recorded = datetime.fromisoformat(fact["recorded_at"])
            if fact["table"] != table or (at is not None and recorded > at):
                continue
            if fact["op"] == "DELETE":
                del found[fact["row_id"]]
            else:
                found[fact["row_id"]] = fact["image"]
        for image in found.values():
            if all(image[name] == str(value) for name, value in wanted.items()):
                yield image

    def one(self, table: str, *, at: datetime | None = None, **wanted: Any) -> Any:
        (row,) = self.rows(table, at=at, **wanted)
        return row


def person(house: House, party_id: Any) -> dict[str, str | None]:
    """Open a party: persons stand in no journal."""
    with house.database.reading() as session:
        party = session.exec(select(Party).where(col(Party.id) == party_id)).one()
        known = known_of(house.services.vault, party)
        cnic = cnic_of(house.services.vault, party)
        return {"name": known.name, "father": known.father_or_spouse_name, "cnic": cnic}


def instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
