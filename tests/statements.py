"""Files as a bank makes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from registry.payment.statement_files import HEADER, signed

DAY = "2026-07-15"


def _sided(paisa: int) -> str:
    side = "CRDT" if paisa >= 0 else "DBIT"
    return f'<Amt Ccy="PKR">{signed(abs(paisa))}</Amt><CdtDbtInd>{side}</CdtDbtInd>'


def camt_entry(
    reference: str,
    paisa: int,
    *,
    said: str | None = None,
    payer: str | None = None,
    reversal: bool = False,
    state: str = "BOOK",
    details: str | None = None,
    day: str = DAY,
    name: str = "AcctSvcrRef",
) -> str:
    if details is None:
        words = f"<RmtInf><Ustrd>{said}</Ustrd></RmtInf>" if said else ""
        who = f"<RltdPties><Dbtr><Pty><Nm>{payer}</Nm></Pty></Dbtr></RltdPties>" if payer else ""
        details = f"<TxDtls>{who}{words}</TxDtls>" if said or payer else ""
    back = "<RvslInd>true</RvslInd>" if reversal else ""
    return (
        f"<Ntry>{_sided(paisa)}{back}<Sts><Cd>{state}</Cd></Sts>"
        f"<BookgDt><Dt>{day}</Dt></BookgDt><{name}>{reference}</{name}>"
        f"<NtryDtls>{details}</NtryDtls></Ntry>"
    )


def camt(opening: int, *entries: str, closing: int, day: str = DAY) -> bytes:
    balances = "".join(
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_sided(paisa)}"
        f"<Dt><Dt>{day}</Dt></Dt></Bal>"
        for code, paisa in (("OPBD", opening), ("CLBD", closing))
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt>'
        "<Acct><Id><IBAN>PK36SCBL0000001123456702</IBAN></Id></Acct>"
        f"{balances}{''.join(entries)}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def csv_file(
    opening: int, *lines: tuple[str, int, str, str, str], days: Sequence[str] = ()
) -> bytes:
    """Write lines of reference, amount, words, payer and what is taken back."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER)
    balance = opening
    dated = zip(days or [DAY] * len(lines), lines, strict=True)
    for day, (reference, paisa, said, payer, reverses) in dated:
        balance += paisa
        writer.writerow([day, reference, signed(paisa), signed(balance), said, payer, reverses])
    return text.getvalue().encode()
