"""The UN's XML form: read as a stream, and refused with the line where it is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest

from registry.kernel.clock import now
from registry.kernel.errors import Invalid
from registry.sanctions import un_xml
from registry.sanctions.models import ListedKind
from registry.sanctions.un_xml import ListedEntry, read_list
from tests.sanctioned import ENTRIES, Entry, file_of, xml_of

pytestmark = pytest.mark.unit


def taken(text: str) -> list[ListedEntry]:
    found: list[ListedEntry] = []
    read_list(BytesIO(text.encode()), found.append)
    return found


def test_list__whole__gives_names_births_and_nationalities() -> None:
    entries: list[ListedEntry] = []

    generated_at = read_list(file_of(), entries.append)

    assert generated_at == datetime(2026, 6, 1, tzinfo=UTC)
    assert [entry.reference for entry in entries] == [entry.reference for entry in ENTRIES]
    by_reference = {entry.reference: entry for entry in entries}
    assert {"text": "Zulfi Bhai", "is_weak": True} in by_reference["XXi.003"].names
    assert {"text": "یوسف خالد ترین زئی", "is_weak": False} in by_reference["XXi.004"].names
    assert by_reference["XXi.001"].births == [[1971, 1971]]
    assert by_reference["XXi.006"].nationalities == ["AF"]
    assert by_reference["XXe.001"].kind == ListedKind.ENTITY


def test_births__between_two_years__are_kept_as_a_span() -> None:
    span = (
        "<INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>BETWEEN</TYPE_OF_DATE>"
        "<FROM_YEAR>1960</FROM_YEAR><TO_YEAR>1964</TO_YEAR></INDIVIDUAL_DATE_OF_BIRTH>"
    )
    text = xml_of([Entry("XXi.009", "A Somebody")]).replace("</INDIVIDUAL>", f"{span}</INDIVIDUAL>")

    assert taken(text)[0].births == [[1960, 1964]]


BOMB = '<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY a "b">]>\n<CONSOLIDATED_LIST/>'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Line"),
        ("no xml", "Line 1"),
        ("<OTHER/>", "begins with OTHER"),
        ('<CONSOLIDATED_LIST dateGenerated="yesterday"/>', "dateGenerated"),
        ('<CONSOLIDATED_LIST dateGenerated="2026-01-01"/>', "names nobody"),
        (xml_of(generated="2099-01-01T00:00:00Z"), "dateGenerated"),
        (xml_of(generated="9999-12-31T23:59:59-12:00"), "dateGenerated"),
        (xml_of(generated="0001-01-01T00:00:00+05:00"), "dateGenerated"),
        (xml_of(generated=(now() + timedelta(hours=48)).isoformat()), "dateGenerated"),
        (xml_of()[:-200], "Line"),
        (BOMB, "DTD"),
        (xml_of(more="<INDIVIDUAL><DATAID>7</DATAID></INDIVIDUAL>"), "no reference or no name"),
        (xml_of(more="<a>" * 20), "nested"),
        (xml_of(more=f"<INDIVIDUAL><X>{'y' * 30_000}</X></INDIVIDUAL>"), "too long"),
    ],
)
def test_list__wrong__is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(Invalid, match="sanctions_list_malformed") as refusal:
        taken(text)

    assert said in refusal.value.detail
    assert refusal.value.detail.startswith("Line ")


def test_list__fault_in_a_later_line__names_that_line() -> None:
    text = xml_of().replace("<ENTITIES>", "<ENTITIES>\n<WRONG>", 1)
    expected = text.count("\n")

    with pytest.raises(Invalid) as refusal:
        taken(text)

    line = int(refusal.value.detail.split(":")[0].removeprefix("Line "))
    assert expected - 3 <= line <= expected + 1


def test_list__of_too_many_entries__is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(un_xml, "MAX_ENTRIES", 3)

    with pytest.raises(Invalid, match="sanctions_list_malformed"):
        taken(xml_of())


def test_list__of_a_clock_that_is_ahead__is_taken() -> None:
    assert len(taken(xml_of(generated=(now() + timedelta(hours=12)).isoformat()))) == len(ENTRIES)
