from __future__ import annotations

import pytest
from sqlmodel import Session

from registry.journal import service as journal
from registry.kernel.db import Database
from tests.factories import CHECKER, MAKER

pytestmark = pytest.mark.db


def acts(session: Session, subject_id: str | None = None, limit: int = 10) -> list[str]:
    entries = journal.list_entries(session, subject_id=subject_id, after=None, limit=limit)
    return [entry.act for entry in entries]


def test_record__acts__are_kept_in_order_with_actor_and_facts(session: Session) -> None:
    journal.record(session, MAKER, "opened", "asset", 1, code="LHR-APT-0001")
    journal.record(session, CHECKER, "approved", "asset", 2)
    session.flush()

    [first, second] = journal.list_entries(session, subject_id=None, after=None, limit=10)

    assert (first.actor, first.act, first.facts) == (
        MAKER.subject,
        "opened",
        {"code": "LHR-APT-0001"},
    )
    assert (second.actor, second.subject_id) == (CHECKER.subject, "2")
    assert acts(session, "2") == ["approved"]
    assert acts(session, limit=1) == ["opened"]
    [after] = journal.list_entries(session, subject_id=None, after=first.id, limit=10)
    assert after == second


@pytest.mark.parametrize("name", sorted(journal.FREE_TEXTS))
def test_record__number_of_a_person_in_somebodys_words__is_hidden(
    session: Session, name: str
) -> None:
    said = "Asked by 35202-1234567-1, passport QX1234567, account PK36SCBL0000001123456702."
    digest = "35202" + "1" * 8 + "ab" * 26
    journal.record(session, MAKER, "suspended", "asset", 1, **{name: said}, sha256=digest)
    session.flush()

    [entry] = journal.list_entries(session, subject_id=None, after=None, limit=10)

    assert entry.facts == {
        name: "Asked by ***, passport ***, account ***.",
        "sha256": digest,
    }


def test_record__transaction_fails__leaves_no_entry(fresh_database: Database) -> None:
    with pytest.raises(ZeroDivisionError), fresh_database.transaction() as session:  # noqa: PT012
        journal.record(session, MAKER, "opened", "asset", 1)
        session.flush()
        _ = 1 / 0

    with fresh_database.reading() as reader:
        assert acts(reader) == []
