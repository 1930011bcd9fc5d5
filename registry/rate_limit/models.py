"""Token buckets that all processes of the service share."""

from __future__ import annotations

from pydantic import AwareDatetime
from sqlalchemy import DateTime
from sqlmodel import Field, SQLModel

from registry.kernel.columns import binary


class RateLimitBucket(SQLModel, table=True):
    """A bucket by the moment at which it is full again; one that is full needs no row.

    Unlogged: after a crash of the database every bucket is full, and nothing else is lost.

    Parameters
    ----------
    key
        Hash of whose it is: the table names neither people nor addresses.
    """

    __tablename__ = "rate_limit_bucket"
    __table_args__ = {"prefixes": ["UNLOGGED"]}

    key: bytes = binary(primary_key=True)
    full_at: AwareDatetime = Field(sa_type=DateTime(timezone=True), nullable=False)
