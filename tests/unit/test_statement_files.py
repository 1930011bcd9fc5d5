"""Files of statements: what is read of them, and what is refused whole."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from registry.kernel.clock import today
from registry.kernel.errors import Invalid
from registry.payment.camt import read_camt
from registry.payment.statement_files import HEADER, StatementLine, check_statement, read_csv
from tests.statements import camt, camt_entry, csv_file

pytestmark = pytest.mark.unit

DAY = date(2026, 7, 15)


def test_camt__entries_of_every_kind__are_read() -> None:
    content = camt(
        100,
        camt_entry("A", 5_000, said="MLK0A1B2C3D4E5F", payer="Ayesha Khan"),
        camt_entry("B", -300),
        camt_entry("A", -5_000, reversal=True),
        camt_entry("C", 700, state="PDNG"),
        closing=-200,
    )

    read = check_statement(read_camt(content))

    assert (read.account, read.closed_on) == ("PK36SCBL0000001123456702", DAY)
    assert (read.opening_paisa, read.closing_paisa) == (100, -200)
    assert read.lines == [
        StatementLine("A", 5_000, DAY, "MLK0A1B2C3D4E5F", "Ayesha Khan"),
        StatementLine("B", -300, DAY),
        StatementLine("A", -5_000, DAY, reverses="A"),
        StatementLine("C", 700, DAY, booked=False),
    ]


def test_camt__batch_of_two__is_two_lines() -> None:
    details = "".join(
        f"<TxDtls><Refs><AcctSvcrRef>{name}</AcctSvcrRef></Refs><Amt Ccy='PKR'>{amount}</Amt>"
        f"<RmtInf><Ustrd>for {name}</Ustrd></RmtInf></TxDtls>"
        for name, amount in (("A", "1.50"), ("B", "2.5"))
    )
    entry = camt_entry("ALL", 400, details=details)

    read = check_statement(read_camt(camt(0, entry, closing=400)))

    assert [(line.reference, line.amount_paisa, line.said) for line in read.lines] == [
        ("A", 150, "for A"),
        ("B", 250, "for B"),
    ]
    with pytest.raises(Invalid, match="do not sum"):
        read_camt(camt(0, camt_entry("ALL", 401, details=details), closing=401))


@pytest.mark.parametrize("version", ["001.02", "001.08", "001.13"])
def test_camt__any_version_and_encoding__is_read(version: str) -> None:
    text = camt(0, camt_entry("A", 1), closing=1).decode().replace("001.08", version)

    assert len(read_camt(text.encode()).lines) == 1
    wide = text.replace("UTF-8", "UTF-16").encode("utf-16")
    assert len(read_camt(wide).lines) == 1


GOOD = camt(0, camt_entry("A", 100), closing=100).decode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (GOOD.replace("<Document", "<!DOCTYPE d><Document"), "document type"),
        (
            GOOD.replace("<Document", '<!DOCTYPE d [<!ENTITY a "b">]><Document', 1),
            "document type",
        ),
        (GOOD.replace("</Document>", ""), "well-formed"),
        (GOOD.replace("Document", "Dokument"), "ISO 20022"),
        (GOOD.replace("Stmt>", "Other>"), "0 statements"),
        (GOOD.replace("CLBD", "CLAV"), "balances CLBD"),
        (GOOD.replace("2026-07-15", "15.07.2026"), "no date"),
        (GOOD.replace("2026-07-15", "2026-02-30"), "no date"),
        (GOOD.replace("CRDT", "CREDIT"), "neither CRDT nor DBIT"),
        (GOOD.replace("<AcctSvcrRef>A</AcctSvcrRef>", ""), "no reference"),
        (GOOD.replace('Ccy="PKR"', 'Ccy="USD"'), "USD"),
        (GOOD.replace("1.00", "1.005"), "money_malformed"),
        (GOOD.replace("1.00", "1e2"), "money_malformed"),
        (GOOD.replace("<Ntry>", "<a>" * 50 + "</a>" * 50 + "<Ntry>"), "too deeply"),
    ],
)
def test_camt__wrong__is_refused(content: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        check_statement(read_camt(content.encode()))


@pytest.mark.parametrize("written", ["true", "1", " 1 "])
def test_camt__reversal__is_told_as_a_boolean_is_written(written: str) -> None:
    entry = camt_entry("A", -5, reversal=True).replace(">true<", f">{written}<")

    [line] = read_camt(camt(5, entry, closing=0)).lines

    assert line.reverses == "A"


def test_camt__number_of_an_entry__is_a_reference_within_its_account_and_day_alone() -> None:
    numbered = GOOD.replace("AcctSvcrRef", "NtryRef")
    back = camt_entry("A", -5, reversal=True, name="NtryRef")

    [line] = read_camt(numbered.replace("<Stmt>", "<Stmt><Id>2026/196</Id>").encode()).lines
    [nameless] = read_camt(numbered.replace("IBAN", "Other").encode()).lines
    [undone] = read_camt(camt(5, back, closing=0)).lines

    name = "PK***6702/2026-07-15/A"
    assert (line.reference, line.number, line.reverses) == (name, "A", None)
    assert nameless.reference == ""
    assert (undone.reference, undone.number, undone.reverses) == (name, "A", name)


def test_statement__of_a_day_to_come__is_refused() -> None:
    for day, read in ((today() + timedelta(days=1), True), (today() + timedelta(days=2), False)):
        dated = str(day)
        for reader, text in ((read_camt, GOOD), (read_csv, TABLE)):
            content = text.replace("2026-07-15", dated).encode()
            if read:
                assert check_statement(reader(content)).closed_on == day
            else:
                with pytest.raises(Invalid, match="has not come yet"):
                    check_statement(reader(content))


def test_statement__that_announces_what_is_to_come__is_read() -> None:
    later = str(today() + timedelta(days=9))
    announced = camt_entry("B", 5, state="PDNG", day=later)
    content = camt(0, camt_entry("A", 100), announced, closing=100)

    assert len(check_statement(read_camt(content)).lines) == 2
    with pytest.raises(Invalid, match="has not come yet"):
        check_statement(read_camt(content.replace(b"PDNG", b"BOOK")))


def test_camt__zeros_behind_the_paisa__are_nothing() -> None:
    [line] = read_camt(GOOD.replace("1.00", "1.00000").encode()).lines

    assert line.amount_paisa == 100


def test_statement__cut_off__does_not_add_up() -> None:
    with pytest.raises(Invalid, match="statement_does_not_add_up"):
        check_statement(read_camt(camt(0, camt_entry("A", 100), closing=101)))


def test_csv__with_its_header__is_read() -> None:
    content = csv_file(1_000, ("A", 500, "MLK1", "Ayesha", ""), ("R", -500, "", "", "A"))

    read = check_statement(read_csv(b"\xef\xbb\xbf" + content))

    assert (read.opening_paisa, read.closing_paisa, read.closed_on) == (1_000, 1_000, DAY)
    assert read.lines == [
        StatementLine("A", 500, DAY, "MLK1", "Ayesha"),
        StatementLine("R", -500, DAY, reverses="A"),
    ]


TABLE = csv_file(0, ("A", 100, "", "", ""), ("B", 100, "", "", "")).decode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "first line"),
        (",".join(HEADER) + "\n", "no line"),
        (TABLE.replace("booked_on", "date"), "first line"),
        (TABLE.replace(",A,", ","), "fields"),
        (TABLE.replace(",A,", ",,"), "no reference"),
        (TABLE.replace(",A,", ",A\x07,"), "no reference"),
        (TABLE.replace(",2.00,", ",2.01,"), "does_not_add_up"),
        (TABLE.replace("1.00,1.00", "0.00,0.00").replace(",2.00,", ",1.00,"), "moves nothing"),
        (TABLE.replace("1.00", "1,000.00"), "fields"),
        (TABLE.replace("2026-07-15", "yesterday"), "no date"),
        (TABLE + '"', "no CSV"),
        (TABLE.replace(",,,\r\n", ",,,A\r\n"), "takes money back that comes"),
    ],
)
def test_csv__wrong__is_refused(content: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        check_statement(read_csv(content.encode()))


def test_csv__not_utf8__is_refused() -> None:
    with pytest.raises(Invalid, match="no CSV in UTF-8"):
        read_csv(b"\xff\xfe\x00")
