"""Column types that the tables share, so that each fact has one representation."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, Numeric, String
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


def uint256(**more: Any) -> Any:
    """Give a NUMERIC(78,0) column, wide enough for any EVM word."""
    return Field(sa_type=Numeric(78, 0), **more)


def enumeration(**more: Any) -> Any:
    """Give a TEXT column for an enumeration: states are added without a migration."""
    return Field(sa_type=String, nullable=False, **more)


def document(**more: Any) -> Any:
    """Give a JSONB column."""
    return Field(sa_column=Column(JSONB, nullable=False), **more)


__all__ = ["Record", "bigint", "binary", "document", "enumeration", "instant", "uint256"]
