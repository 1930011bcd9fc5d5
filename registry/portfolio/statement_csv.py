"""A statement as CSV (RFC 4180): one row for each balance and movement, exact and for machines."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator

from registry.captable.blocks import AsOfBlock
from registry.kernel.money import Money
from registry.portfolio.money import MoneyAccount
from registry.portfolio.statement import HoldingAccount, Statement

HEADER = (
    "account",
    "wallet",
    "row",
    "time",
    "kind",
    "units",
    "frozen_units",
    "amount_pkr",
    "block_number",
    "tx_hash",
    "reference",
    "finality",
)
_MONEY = "PKR"

Row = tuple[object, ...]


def statement_csv(statement: Statement, address_of: Callable[[bytes], str]) -> bytes:
    """Write a statement as CSV.

    Parameters
    ----------
    address_of
        Writes an address as EIP-55.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER)
    for account in statement.holdings:
        writer.writerows(_holding(statement, account, address_of(account.wallet)))
    for left in statement.left_out:
        # Nothing is known of it, so no number stands there.
        row = "NOT_FOLLOWED" if left.caught_up_to is None else "READ_AGAIN"
        writer.writerow((left.tokenization.symbol, "", row, *[""] * (len(HEADER) - 3)))
    writer.writerows((*row, "") for row in _money(statement.money))
    return text.getvalue().encode()


def _holding(statement: Statement, account: HoldingAccount, wallet: str) -> Iterator[Row]:
    head = (account.tokenization.symbol, wallet)
    yield _balance(
        statement, statement.opening_block, (*head, "OPENING"),
        (account.opening_units, account.opening_frozen), whole=account.opening_whole,
    )  # fmt: skip
    for item in account.movements:
        yield (
            *head,
            "MOVEMENT",
            item.mined_at.isoformat(),
            item.kind,
            item.units,
            item.frozen_units,
            "",
            item.block_number,
            f"0x{item.tx_hash.hex()}",
            "",
            "",
        )
    yield _balance(
        statement, statement.closing_block, (*head, "CLOSING"),
        (account.closing_units, account.closing_frozen), whole=account.closing_whole,
    )  # fmt: skip


def _balance(
    statement: Statement, block: AsOfBlock | None, head: Row, units: Row, *, whole: bool
) -> Row:
    """Write a balance with the block at which it was read: its time, number and finality.

    Of a wallet that was frozen as a whole, its kind says so.
    """
    if block is None:
        return (*head, "", "", *units, *[""] * 5)
    finality = statement.finality_of(block)
    kind = "WALLET_FROZEN" if whole else ""
    return (*head, block.mined_at.isoformat(), kind, *units, "", block.number, "", "", finality)


def _money(money: MoneyAccount) -> Iterator[Row]:
    head, none = (_MONEY, ""), ("", "")
    yield (*head, "OPENING", "", "", *none, _amount(money.opening_paisa), *none, "")
    for item in money.movements:
        moment = item.booked_at.isoformat()
        amount = _amount(item.amount_paisa)
        yield (*head, "MOVEMENT", moment, item.kind, *none, amount, *none, item.reference)
    yield (*head, "CLOSING", "", "", *none, _amount(money.closing_paisa), *none, "")
    for paid in money.payouts:
        moment, amount = paid.booked_at.isoformat(), _amount(paid.amount_paisa)
        yield (*head, "PAYOUT", moment, "PAYOUT", *none, amount, *none, str(paid.redemption_id))


def _amount(paisa: int) -> str:
    written = str(Money(abs(paisa)))
    return f"-{written}" if paisa < 0 else written
