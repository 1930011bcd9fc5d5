"""A statement as PDF, in English or Urdu: amounts grouped in lakhs, days at the register's seat."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from registry.kernel.clock import SEAT
from registry.kernel.messages import Language, text_of
from registry.kernel.money import Money, lakh_grouped
from registry.kernel.pdf import make_pdf
from registry.portfolio.money import MoneyAccount
from registry.portfolio.statement import HoldingAccount, LeftOut, Statement

_TEMPLATE = Path(__file__).with_name("statement.typ")


def statement_pdf(statement: Statement, language: Language) -> bytes:
    """Write a statement as PDF."""
    writer = _Writer(language)
    return make_pdf(_TEMPLATE, writer.values(statement), made_at=statement.made_at)


class _Writer:
    """Writes the texts of one statement in one language."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def values(self, statement: Statement) -> dict[str, Any]:
        sections = [self._holding(account) for account in statement.holdings]
        sections += [self._left_out(left) for left in statement.left_out]
        money = statement.money
        if money.opening_paisa or money.movements or money.closing_paisa:
            sections.append(self._money(money))
        if money.payouts:
            sections.append(self._payouts(money))
        return {
            "language": self._language,
            "title": self._word("title"),
            "head": self._head(statement),
            "sections": sections,
            "nothing": self._word("nothing"),
            "remark": self._word("remark"),
            "footer": f"Milkiyat · {statement.investor.id} · {statement.period}",
        }

    def _head(self, statement: Statement) -> list[dict[str, str]]:
        period, block = statement.period, statement.closing_block
        lines = [
            ("investor", str(statement.investor.id)),
            ("period", f"{period.first} / {period.last}"),
            ("made", _moment(statement.made_at)),
        ]
        if block is not None:
            finality = statement.finality_of(block)
            lines += [
                ("block", f"{block.number} (0x{block.hash.hex()[:16]}…)"),
                ("block_time", _moment(block.mined_at)),
                ("block_finality", self._word(f"block.{finality}")),
            ]
        return [{"label": self._word(name), "value": value} for name, value in lines]

    def _holding(self, account: HoldingAccount) -> dict[str, Any]:
        columns = ("when", "what", "at_block", "units", "frozen")
        rows = [
            self._row(
                _moment(item.mined_at),
                self._word(f"movement.{item.kind}"),
                str(item.block_number),
                _signed(item.units),
                _signed(item.frozen_units),
            )
            for item in account.movements
        ]
        opening = (str(account.opening_units), str(account.opening_frozen))
        closing = (str(account.closing_units), str(account.closing_frozen))
        return self._section(
            account.tokenization.symbol,
            f"0x{account.wallet.hex()}",
            columns,
            [
                self._balance("opening", opening, whole=account.opening_whole),
                *rows,
                self._balance("closing", closing, whole=account.closing_whole),
            ],
            numeric=(2, 3, 4),
        )

    def _balance(self, name: str, units: Sequence[str], *, whole: bool) -> dict[str, Any]:
        words = [self._word(name), *([self._word("wallet_frozen")] if whole else [])]
        return self._row("", " · ".join(words), "", *units, strong=True)

    def _left_out(self, left: LeftOut) -> dict[str, Any]:
        name = "not_followed" if left.caught_up_to is None else "read_again"
        note = self._row("", self._word(name))
        return self._section(left.tokenization.symbol, "", ("when", "what"), [note], numeric=())

    def _money(self, money: MoneyAccount) -> dict[str, Any]:
        rows = [
            self._row(
                _moment(item.booked_at),
                self._word(f"entry.{item.kind}"),
                item.reference,
                _rupees(item.amount_paisa),
            )
            for item in money.movements
        ]
        opening, closing = _rupees(money.opening_paisa), _rupees(money.closing_paisa)
        return self._section(
            self._word("money"),
            "",
            ("when", "what", "reference", "amount"),
            [
                self._row("", self._word("opening"), "", opening, strong=True),
                *rows,
                self._row("", self._word("closing"), "", closing, strong=True),
            ],
            numeric=(3,),
        )

    def _payouts(self, money: MoneyAccount) -> dict[str, Any]:
        rows = [
            self._row(_moment(item.booked_at), str(item.redemption_id), _rupees(item.amount_paisa))
            for item in money.payouts
        ]
        columns = ("when", "redemption", "amount")
        return self._section(self._word("payouts"), "", columns, rows, numeric=(2,))

    def _section(
        self,
        title: str,
        note: str,
        columns: Sequence[str],
        rows: Sequence[dict[str, Any]],
        *,
        numeric: Sequence[int],
    ) -> dict[str, Any]:
        widest = 1  # what happened, in words
        return {
            "title": title,
            "note": note,
            "columns": [self._word(name) for name in columns],
            "widths": ["rest" if at == widest else "auto" for at in range(len(columns))],
            "numeric": list(numeric),
            "rows": rows,
        }

    @staticmethod
    def _row(*cells: str, strong: bool = False) -> dict[str, Any]:
        return {"cells": cells, "strong": strong}

    def _word(self, name: str) -> str:
        return text_of("statement", name, self._language)


def _moment(moment: datetime) -> str:
    return moment.astimezone(SEAT).strftime("%Y-%m-%d %H:%M")


def _signed(units: int) -> str:
    return f"{units:+d}" if units else ""


def _rupees(paisa: int) -> str:
    written = lakh_grouped(Money(abs(paisa)))
    return f"-{written}" if paisa < 0 else written
