"""Names that are one name, written otherwise; measured on a labelled list of invented people."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID, uuid4

import pytest

from registry.sanctions.matching import Index, Listed, Subject
from registry.sanctions.names import read_name
from registry.sanctions.policy import screening_policy
from registry.sanctions.un_xml import ListedEntry, read_list
from tests.sanctioned import NOT_ON_THE_LIST, ON_THE_LIST, file_of

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def index() -> tuple[Index, dict[UUID, str]]:
    taken: list[ListedEntry] = []
    read_list(file_of(), taken.append)
    ids = {uuid4(): entry for entry in taken}
    listed = [
        Listed(
            entry_id=entry_id,
            name=read_name(str(name["text"])),
            is_weak=bool(name["is_weak"]),
            births=tuple((first, last) for first, last in entry.births),
            nationalities=frozenset(entry.nationalities),
        )
        for entry_id, entry in ids.items()
        for name in entry.names
    ]
    names = {entry_id: entry.reference for entry_id, entry in ids.items()}
    return Index(listed, screening_policy()), names


def found(index: tuple[Index, dict[UUID, str]], name: str, born: int | None) -> set[str]:
    matcher, references = index
    return {references[key] for key in matcher.matches(Subject((name,), born, "PK"))}


def test_screening__of_the_labelled_set__recalls_all_and_is_precise(
    index: tuple[Index, dict[UUID, str]],
) -> None:
    missed = [row for row in ON_THE_LIST if row[2] not in found(index, row[0], row[1])]
    wrong = {row: found(index, *row) for row in NOT_ON_THE_LIST if found(index, *row)}
    right = len(ON_THE_LIST) - len(missed)

    assert not missed, f"recall {right / len(ON_THE_LIST):.0%}"
    assert right / (right + len(wrong)) >= 0.9, wrong


@pytest.mark.parametrize(
    "written",
    [
        ("Muhammad", "Mohammad", "Mohamed", "Mohd", "Md.", "محمد", "مُحَمَّد"),
        ("Hussain", "Husein", "Hossain", "حسین", "حسين"),
        ("Usman", "Othman", "Uthman", "عثمان"),
        ("Yousuf", "Yusuf", "یوسف", "يوسف"),
        ("Zulfiqar", "Dhulfikar", "ذوالفقار"),
        ("Abdul Rahman", "Abdur-Rehman", "Abdurrahman", "عبد الرحمن", "عبدالرحمٰن"),
        ("Kareem", "Karim", "کریم", "كريم"),
    ],
    ids=lambda written: written[0],
)
def test_skeleton__one_name_in_many_spellings__is_one(written: tuple[str, ...]) -> None:
    groups = defaultdict(list)
    for name in written:
        groups[read_name(name).skeleton].append(name)

    assert len(groups) == 1, dict(groups)


def test_skeleton__mahmud__is_not_muhammad() -> None:
    for name in ("Mahmood", "Mehmood", "Mahmud", "محمود"):
        assert read_name(name).skeleton != read_name("Muhammad").skeleton


@pytest.mark.parametrize("name", ["", "  ", "123", "al", "Dr.", "!?"])
def test_screening__of_what_is_no_name__finds_nobody(
    index: tuple[Index, dict[UUID, str]], name: str
) -> None:
    assert found(index, name, None) == set()
