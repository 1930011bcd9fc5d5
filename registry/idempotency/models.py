"""Answers already given, so that a repeated request changes nothing."""

from __future__ import annotations

from pydantic import AwareDatetime
from sqlalchemy import DateTime, func
from sqlmodel import Field, SQLModel

from registry.kernel.columns import binary


class StoredAnswer(SQLModel, table=True):
    """The answer to one mutation, stored in the same transaction as its effect."""

    __tablename__ = "stored_answer"

    principal: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_hash: bytes = binary()
    status: int
    headers: str
    body: bytes = binary()
    stored_at: AwareDatetime | None = Field(
        default=None,
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now(), "nullable": False},
    )
