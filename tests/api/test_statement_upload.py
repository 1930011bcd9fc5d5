"""The register of record handed in as a file: of any size, and refused by the line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from sqlmodel import col, func, select

from registry.document.store import FolderStore
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.reconciliation import comparing
from registry.reconciliation.models import ReconciliationBreak, RegisterStatementRow
from tests import ledger
from tests.api.house import House, house_settings, open_house, problem_of
from tests.api.reports import rows_of
from tests.api.test_report_reconciliation import secret
from tests.factories import Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db

UNITS = (600, 400)
MANY = 20_500
"""More than a JSON body may have."""

# Persons of whom nothing is asked but that they are there.
_PERSONS = f"""
INSERT INTO party SELECT (jsonb_populate_record(
  p, '{{"cnic_fingerprint": null, "lei": null, "cuin": null, "asset_id": null}}'
    || jsonb_build_object('id', uuidv7()))).*
FROM party p, generate_series(1, {MANY}) WHERE p.id = %s RETURNING id
"""


@pytest.fixture
def place(fresh_database: Database, tmp_path: Path) -> Iterator[tuple[House, Ledger]]:
    settings = house_settings(tmp_path)
    with fresh_database.transaction() as session:
        vault = Vault(secret(settings.pii_key), secret(settings.pii_index_key))
        chain = ledger.live(Desk(session, vault, FolderStore(tmp_path / "papers")), *UNITS)
    with open_house(settings.model_copy(update={"chain_id": chain.chain_id}), fresh_database) as it:
        yield it, chain


def upload(house: House, chain: Ledger, content: str | bytes, **changes: str) -> httpx.Response:
    said = {"token_id": str(chain.tokenization.id), "as_of": str(today() - timedelta(days=1))}
    file = content.encode() if isinstance(content, str) else content
    return house.caller(Role.OPERATIONS).upload(
        "/v1/register_statements", file, name="statement.csv", **(said | changes)
    )


def csv_of(stated: dict[UUID, int]) -> str:
    return "party_id,units\r\n" + "".join(f"{who},{units}\r\n" for who, units in stated.items())


def parties_of(chain: Ledger) -> list[UUID]:
    return [who.investor.party_id for who in chain.holders]


def breaks_of(house: House) -> dict[str, str]:
    with house.database.reading() as session:
        rows = session.exec(select(ReconciliationBreak.subject, ReconciliationBreak.detail)).all()
    return dict(rows)


def test_upload__as_a_spreadsheet_saves_it__is_the_statement(place: tuple[House, Ledger]) -> None:
    house, chain = place
    first, second = parties_of(chain)
    filed = upload(house, chain, b"\xef\xbb\xbf" + csv_of({first: 600, second: 399}).encode())

    assert filed.status_code == 201, filed.text
    assert (filed.json()["differences"], filed.json()["register_of_record"]) == (1, "CDC_CDS")
    assert breaks_of(house) == {f"party:{second}": "The register of record has 399, the token 400."}
    rows = rows_of(house, "R-09", token=chain.tokenization.id)
    assert {row["party"]: row["register_of_record"] for row in rows} == {
        str(first): "600", str(second): "399",
    }  # fmt: skip
    again = upload(house, chain, csv_of({first: 600, second: 400}))
    assert again.json()["differences"] == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "Line 1: it is party_id,units."),
        ("party,units\n{first},600\n", "Line 1: it is party_id,units."),
        ("party_id,units\n", "one row at least"),
        ("party_id,units\n{first},600\n{second}\n", "Line 3: it has 1 cells"),
        ("party_id,units\n{first},600,7\n", "Line 2: it has 3 cells"),
        ("party_id,units\n{first},600\n\nnobody,400\n", "Line 4: its party_id is no id."),
        ("party_id,units\n{first},6e2\n", "Line 2: its units are no whole number."),
        ("party_id,units\n{first},-600\n", "Line 2: its units are no whole number."),
        ("party_id,units\n{first},0\n", "Line 2: units are above zero, and fit"),
        ("party_id,units\n{first}," + "9" * 78 + "\n", "Line 2: units are above zero, and fit"),
        ("party_id,units\n{first},1\n{second},2\n{first},1\n", "Line 4: its party stands on line"),
        (b"party_id,units\n\xff\xfe,1\n", "Somewhere behind line 0: it is not UTF-8."),
        ('party_id,units\n"{first}"x,1\n', "Line 2: it is no CSV."),
    ],
)  # fmt: skip
def test_upload__malformed__is_refused_by_its_line_and_leaves_nothing(
    place: tuple[House, Ledger], content: str | bytes, told: str
) -> None:
    house, chain = place
    first, second = parties_of(chain)
    if isinstance(content, str):
        content = content.format(first=first, second=second)
    with house.unchanged():
        answer = upload(house, chain, content)
    problem = problem_of(answer, 422, "statement_malformed")
    assert told in problem["detail"]


def test_upload__unknown_party_or_day__is_refused(place: tuple[House, Ledger]) -> None:
    house, chain = place
    first, _ = parties_of(chain)
    stranger = uuid4()
    with house.unchanged():
        answer = upload(house, chain, csv_of({first: 600, stranger: 400}))
        assert f"{stranger} (line 3)" in problem_of(answer, 404, "not_found")["detail"]
        answer = upload(house, chain, csv_of({first: 600}), as_of=str(today()))
        problem_of(answer, 422, "statement_dated_in_future")
        answer = upload(house, chain, csv_of({first: 600}), token_id=str(stranger))
        problem_of(answer, 404, "not_found")


def test_upload__more_holders_than_json_takes__has_a_break_of_each_up_to_a_limit(
    place: tuple[House, Ledger],
) -> None:
    house, chain = place
    stated: dict[UUID, int] = dict(zip(parties_of(chain), UNITS, strict=True))
    stated |= dict.fromkeys(persons(house, parties_of(chain)[0]), 1)

    filed = upload(house, chain, csv_of(stated)).json()
    assert filed["differences"] == MANY
    with house.database.reading() as session:
        assert session.exec(select(func.count(col(RegisterStatementRow.id)))).one() == len(stated)
    breaks = breaks_of(house)
    assert len(breaks) == comparing.MOST + 1
    assert f"{MANY - comparing.MOST} more holders differ" in breaks[comparing.MORE]
    again = upload(house, chain, csv_of(dict(zip(parties_of(chain), UNITS, strict=True)))).json()
    assert again["differences"] == 0


def persons(house: House, party_id: UUID) -> list[UUID]:
    """Have more persons than anybody enrols in a test."""
    with house.desk() as desk:
        made = desk.session.connection().exec_driver_sql(_PERSONS, (party_id,))
        return [row[0] for row in made]
