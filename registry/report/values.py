"""How values are written: for JSON by their kind, and as the text of a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from registry.kernel.masking import mask_text
from registry.kernel.money import Money
from registry.report.report import Column, Kind, Open, Row

AddressOf = Callable[[bytes], str]
"""Writes 20 bytes as EIP-55; the registry does not know how."""


def written_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def written_money(paisa: int) -> dict[str, str]:
    sign = "-" if paisa < 0 else ""
    return {"amount": f"{sign}{Money(abs(paisa))}", "currency": "PKR"}


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes rows of a report.

    Parameters
    ----------
    reveal
        Whether persons are shown.
    """

    columns: tuple[Column, ...]
    chain_id: int
    address_of: AddressOf
    reveal: bool

    def write(self, row: Row) -> dict[str, Any]:
        """Write a row as JSON says it."""
        assert len(row.values) == len(self.columns), "a value for each column"
        return {
            column.name: None if value is None else self._written(column, value)
            for column, value in zip(self.columns, row.values, strict=True)
        }

    def _written(self, column: Column, value: Any) -> Any:
        if column.kind is Kind.TEXT:
            return self._text(column, value)
        if column.kind is Kind.ACCOUNT:
            return f"eip155:{self.chain_id}:{self.address_of(value)}"
        if column.kind is Kind.ADDRESS:
            return self.address_of(value)
        return _WRITTEN[column.kind](value)

    def _text(self, column: Column, value: str) -> str:
        if self.reveal or column.is_key or isinstance(value, Open):
            return str(value)
        # People type numbers of people into every text.
        return column.personal(value) if column.personal else mask_text(value)


_WRITTEN: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.COUNT: int,
    Kind.UNITS: lambda units: str(int(units)),
    Kind.MONEY: written_money,
    Kind.FRACTION: lambda part: f"{part.numerator}/{part.denominator}",
    Kind.DECIMAL: lambda number: format(number, "f"),
    Kind.FLAG: bool,
    Kind.DATE: lambda day: day.isoformat(),
    Kind.TIME: written_time,
    Kind.HASH: lambda digest: f"0x{digest.hex()}",
    Kind.ID: str,
}


def cell_of(value: Any) -> str:
    """Write a value of JSON as the text of a cell; nothing is an empty one.

    Raises
    ------
    ValueError
        It is none that a `Writer` writes.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        if value.keys() != {"amount", "currency"}:
            raise ValueError("is no amount of money")
        return f"{value['amount']} {value['currency']}"
    return str(value)


def cells_of(names: Sequence[str], item: Mapping[str, Any]) -> list[str]:
    return [cell_of(item.get(name)) for name in names]
