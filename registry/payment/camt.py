"""ISO 20022 camt.053 (BankToCustomerStatement) of any version, without DTD or entities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from registry.kernel.errors import Invalid
from registry.kernel.masking import mask_iban
from registry.payment.statement_files import (
    StatementFile,
    StatementLine,
    parse_signed,
    read_date,
    unreadable,
)

MAX_DEPTH = 40
BOOKED = "BOOK"
_TRUE = ("true", "1")
"""As xs:boolean is written."""


def read_camt(content: bytes) -> StatementFile:
    """Read one statement of one account in rupees.

    Raises
    ------
    Invalid
        ``statement_unreadable``, ``statement_currency_refused``, ``money_malformed``.
    """
    statements = _parse(content).findall("BkToCstmrStmt/Stmt")
    if len(statements) != 1:
        raise unreadable(f"It holds {len(statements)} statements of accounts (Stmt), not one.")
    statement = statements[0]
    closing = _balance(statement, "CLBD")
    account = _text(statement, "Acct/Id/IBAN") or _text(statement, "Acct/Id/Othr/Id")
    owner = mask_iban(account) if account else None
    return StatementFile(
        account=account,
        closed_on=read_date(_text(closing, "Dt/Dt") or _text(closing, "Dt/DtTm")),
        opening_paisa=_signed(_balance(statement, "OPBD")),
        closing_paisa=_signed(closing),
        lines=[line for entry in statement.findall("Ntry") for line in _lines(entry, owner)],
    )


def _parse(content: bytes) -> Element:
    """Build the tree without its namespaces; a document type is refused before it is read."""
    builder, parser, depth = TreeBuilder(), expat.ParserCreate(namespace_separator="}"), 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise unreadable("It is nested too deeply.")
        builder.start(name.rpartition("}")[2], attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name.rpartition("}")[2])

    def refuse(*_: object) -> None:
        raise unreadable("It declares a document type; a statement has none.")

    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise unreadable(f"It is no well-formed XML: {error}.") from error
    root = builder.close()
    if root.tag != "Document":
        raise unreadable("It is no ISO 20022 document.")
    return root


def _lines(entry: Element, owner: str | None) -> Iterator[StatementLine]:
    """Give one line for each transaction of an entry; of a batch, several.

    Parameters
    ----------
    owner
        The account, masked; without it, the number of an entry (NtryRef) names nothing.
    """
    details = entry.findall("NtryDtls/TxDtls")
    if len(details) <= 1:
        of_entry = _text(entry, "AcctSvcrRef")
        number = None if of_entry or owner is None else _text(entry, "NtryRef")
        detail = details[0] if details else entry
        line = _line(entry, detail, _signed(entry), of_entry or "")
        yield _numbered(line, f"{owner}/{line.booked_on}", number) if number else line
        return
    sign = -1 if _signed(entry) < 0 else 1
    amounts = [sign * _amount(detail) for detail in details]
    if sum(amounts) != _signed(entry):
        raise unreadable("The transactions of an entry do not sum to it.")
    for detail, paisa in zip(details, amounts, strict=True):
        yield _line(entry, detail, paisa, "")


def _numbered(line: StatementLine, prefix: str, number: str) -> StatementLine:
    """Name what has no other reference by its account and day: numbers may begin anew each day."""
    if line.reference:
        return line
    name = f"{prefix}/{number}"
    back = None if line.reverses is None else name
    return replace(line, reference=name, number=number, reverses=back)


def _line(entry: Element, detail: Element, amount_paisa: int, of_entry: str) -> StatementLine:
    reference = _text(detail, "Refs/AcctSvcrRef") or _text(detail, "Refs/TxId") or of_entry
    taken_back = _text(entry, "RvslInd") in _TRUE and amount_paisa < 0
    state = _text(entry, "Sts/Cd") or _text(entry, "Sts")
    return StatementLine(
        reference=reference,
        amount_paisa=amount_paisa,
        booked_on=read_date(_text(entry, "BookgDt/Dt") or _text(entry, "BookgDt/DtTm")),
        said=_said(detail),
        payer=_text(detail, "RltdPties/Dbtr/Nm") or _text(detail, "RltdPties/Dbtr/Pty/Nm"),
        # The bank repeats its reference of the entry that it takes back.
        reverses=reference if taken_back else None,
        booked=state == BOOKED,
    )


def _said(detail: Element) -> str | None:
    words = [
        *(item.text or "" for item in detail.findall("RmtInf/Strd/CdtrRefInf/Ref")),
        *(item.text or "" for item in detail.findall("RmtInf/Ustrd")),
    ]
    end_to_end = _text(detail, "Refs/EndToEndId")
    if end_to_end and end_to_end != "NOTPROVIDED":
        words.append(end_to_end)
    said = " / ".join(dict.fromkeys(" ".join(word.split()) for word in words if word.strip()))
    return said or None


def _balance(statement: Element, code: str) -> Element:
    found = [
        balance for balance in statement.findall("Bal") if _text(balance, "Tp/CdOrPrtry/Cd") == code
    ]
    if len(found) != 1:
        raise unreadable(f"It has {len(found)} balances {code}, not one.")
    return found[0]


def _signed(part: Element) -> int:
    side = _text(part, "CdtDbtInd")
    if side not in ("CRDT", "DBIT"):
        raise unreadable("An amount is neither CRDT nor DBIT.")
    return _amount(part) if side == "CRDT" else -_amount(part)


def _amount(part: Element) -> int:
    found = part.find("Amt")
    if found is None:
        found = part.find("AmtDtls/TxAmt/Amt")
    if found is None:
        raise unreadable("A movement or a balance has no amount.")
    if found.get("Ccy") != "PKR":
        raise Invalid(
            "statement_currency_refused",
            f"It is in {found.get('Ccy')}; our books are in PKR.",
            field="/file",
            remedy="Send the statement of the account in rupees.",
        )
    text = (found.text or "").strip()
    return parse_signed(_two_decimals(text))


def _two_decimals(text: str) -> str:
    """Drop zeros that the standard lets banks write behind the paisa: 5.00000."""
    whole, dot, part = text.partition(".")
    return f"{whole}.{part[:2]}" if dot and not part[2:].strip("0") and part else text


def _text(part: Element, path: str) -> str | None:
    text = part.findtext(path)
    return text.strip() or None if text else None
