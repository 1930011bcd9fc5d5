"""Column types that the tables share, so that each fact has one representation."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    LargeBinary,
    Numeric,
    String,
    TypeDecorator,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from registry.kernel.clock import now
from registry.kernel.ids import new_id


class Record(SQLModel):
    """A row with a UUIDv7 and the moment at which we recorded it."""

    id: UUID = Field(default_factory=new_id, primary_key=True)
    recorded_at: AwareDatetime = Field(
        default_factory=now,
        sa_type=DateTime(timezone=True),
        nullable=False,
    )


def instant(*, nullable: bool = True) -> Any:
    return Field(
        default=None,
        sa_type=DateTime(timezone=True),
        nullable=nullable,
    )


def binary(*, nullable: bool = False, **more: Any) -> Any:
    """Give a BYTEA column: hashes, addresses, sealed text."""
    return Field(sa_type=LargeBinary, nullable=nullable, **more)


def bigint(**more: Any) -> Any:
    return Field(sa_type=BigInteger, **more)


class EnumText(TypeDecorator[StrEnum]):
    """TEXT that is read back as its enumeration; states are added without a migration."""

    impl = String
    cache_ok = True

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__()
        self.kind = kind
        self._members = {member.value: member for member in kind}

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else self.kind(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002
        # Looked up: what an enumeration does to find its member takes four calls.
        return None if value is None else self._members.get(value) or self.kind(value)


class Uint256(TypeDecorator[int]):
    """NUMERIC(78,0), wide enough for any EVM word, read back as an int."""

    impl = Numeric(78, 0)
    cache_ok = True

    def process_result_value(self, value: Decimal | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else int(value)


def uint256(**more: Any) -> Any:
    return Field(sa_type=Uint256, **more)


def enumeration(kind: type[StrEnum], **more: Any) -> Any:
    return Field(sa_type=EnumText(kind), nullable=False, **more)


def document(**more: Any) -> Any:
    """Give a JSONB column."""
    return Field(sa_column=Column(JSONB, nullable=False), **more)


__all__ = ["Record", "bigint", "binary", "document", "enumeration", "instant", "uint256"]
