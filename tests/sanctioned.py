"""A list of sanctions in the UN's form, with invented people, and who is and is not on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from uuid import UUID
from xml.sax.saxutils import escape

from registry.investor.models import Investor
from registry.party.models import PartyKind
from registry.sanctions import lists
from registry.sanctions.screening import screen_party
from tests import factories as make
from tests.factories import COMPLIANCE, Desk


@dataclass(frozen=True)
class Entry:
    """One individual, or an entity, of the invented list."""

    reference: str
    name: str
    aliases: Sequence[tuple[str, str]] = ()
    script: str = ""
    born: int | None = None
    nationality: str = "Pakistan"
    is_entity: bool = False


ENTRIES = (
    Entry("XXi.001", "Muhammad Usman Barlasi", [("Good", "Abu Kashif Barlasi")], born=1971),
    Entry("XXi.002", "Abdul Rehman Qandeelvi", [("Good", "Abdurrahman Qandilwi")], born=1965),
    Entry("XXi.003", "Zulfiqar Hussain Mirchani", [("Low", "Zulfi Bhai")], born=1980),
    Entry("XXi.004", "Yousuf Khalid Tareenzai", script="یوسف خالد ترین زئی", born=1959),
    Entry("XXi.005", "Gulnaz Fatima Sarwanvi", script="گلناز فاطمہ سروانوی", born=1988),
    Entry("XXi.006", "Ghulam Sarwar Dehlizai", born=1977, nationality="Afghanistan"),
    Entry("XXe.001", "Noor-ul-Basti Welfare Trust", [("Good", "Nur al Basti Foundation")],
          is_entity=True),
)  # fmt: skip


def xml_of(
    entries: Sequence[Entry] = ENTRIES, *, generated: str = "2026-06-01T00:00:00Z", more: str = ""
) -> str:
    people = "\n".join(_entry(entry) for entry in entries if not entry.is_entity)
    bodies = "\n".join(_entry(entry) for entry in entries if entry.is_entity)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<CONSOLIDATED_LIST dateGenerated="{generated}">\n'
        f"<INDIVIDUALS>\n{people}\n{more}</INDIVIDUALS>\n<ENTITIES>\n{bodies}\n</ENTITIES>\n"
        "</CONSOLIDATED_LIST>\n"
    )


def file_of(entries: Sequence[Entry] = ENTRIES, **more: str) -> BytesIO:
    return BytesIO(xml_of(entries, **more).encode())


def listed(desk: Desk, investor: Investor) -> UUID:
    """Let an investor be somebody who may be on the newest list; give that person's id."""
    person = make.person(
        desk, kind=PartyKind.NATURAL, name="Mohd Usman Barlasi", dob=date(1971, 3, 4),
        nationality="PK",
    )  # fmt: skip
    lists.import_list(desk.session, COMPLIANCE, file_of())
    assert screen_party(desk.session, desk.vault, person.id)
    investor.party_id = person.id
    desk.session.flush()
    return person.id


def _entry(entry: Entry) -> str:
    kind = "ENTITY" if entry.is_entity else "INDIVIDUAL"
    first, _, rest = entry.name.partition(" ")
    aliases = "".join(
        f"<{kind}_ALIAS><QUALITY>{quality}</QUALITY><ALIAS_NAME>{escape(name)}</ALIAS_NAME>"
        f"</{kind}_ALIAS>"
        for quality, name in entry.aliases
    )
    born = (
        "<INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>EXACT</TYPE_OF_DATE>"
        f"<DATE>{entry.born}-02-03</DATE></INDIVIDUAL_DATE_OF_BIRTH>"
        if entry.born
        else ""
    )
    return (
        f"<{kind}><DATAID>1</DATAID><FIRST_NAME>{escape(first)}</FIRST_NAME>"
        f"<SECOND_NAME>{escape(rest)}</SECOND_NAME>"
        f"<REFERENCE_NUMBER>{entry.reference}</REFERENCE_NUMBER>"
        f"<NAME_ORIGINAL_SCRIPT>{entry.script}</NAME_ORIGINAL_SCRIPT>"
        f"<NATIONALITY><VALUE>{entry.nationality}</VALUE></NATIONALITY>{aliases}{born}</{kind}>"
    )


ON_THE_LIST = (
    ("Mohammad Usman Barlasi", 1971, "XXi.001"),
    ("Mohd. Othman Barlassi", None, "XXi.001"),
    ("Barlasi, Muhamed Usman", 1972, "XXi.001"),
    ("محمد عثمان برلاسی", None, "XXi.001"),
    ("Abu Kashif Barlasi", None, "XXi.001"),
    ("Abdur-Rahman Qandeelvi", 1965, "XXi.002"),
    ("AbdulRehman Qandilwi", None, "XXi.002"),
    ("عبدالرحمٰن قندیلوی", 1965, "XXi.002"),
    ("Zulfikar Husein Mirchani", None, "XXi.003"),
    ("Dhulfiqar Hussein Mirchany", 1980, "XXi.003"),
    ("ذوالفقار حسین مرچانی", None, "XXi.003"),
    ("Yusuf Khalid Tarinzai", None, "XXi.004"),
    ("يوسف خالد ترين زئي", 1959, "XXi.004"),
    ("Gul\u200cnaz Fátima Sarwanvi", None, "XXi.005"),
    ("گُلناز فاطمه سروانوى", 1988, "XXi.005"),
    ("Ghulam Sarvar Dehlizai", None, "XXi.006"),
    ("Nur ul Basti Welfare Trust", None, "XXe.001"),
    ("Noor Al-Basti Foundation", None, "XXe.001"),
)
"""Names as they may be written, the year of birth if it is known, and whom the list means."""

NOT_ON_THE_LIST = (
    ("Muhammad Usman", None), ("Usman Barlas Khan", None), ("Muhammad Kashif", 1971),
    ("Abdul Rehman", 1965), ("Abdul Qadeer", None), ("Hussain Ali Mirza", None),
    ("Zulfiqar Hussain", None), ("Zulfiqar Ali Junejo", 1980), ("Khalid Yousuf", None),
    ("Yousuf Khalid", 1959), ("Fatima Gul", None), ("Gulnaz Fatima", 1988),
    ("Ghulam Sarwar", 1977), ("Sarwar Ghulam Rasool", None), ("Noor Welfare Trust", None),
    ("Basti Builders Limited", None), ("Muhammad Usman Barlasi", 2004),
    ("Ayesha Siddiqua Malik", None), ("محمد عثمان", None), ("خالد محمود", None),
    ("Mahmood Usman Bukhari", None), ("Demo Investor Ayesha", None),
)  # fmt: skip
"""Common names, namesakes in part, and one of the same name who is far too young."""
