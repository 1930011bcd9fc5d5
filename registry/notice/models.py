"""Notices: what happened to somebody's orders, money, wallets and holdings, in one order."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import SQLModel

from registry.kernel.columns import Record, bigint, binary, document


class Notice(Record, table=True):
    """One event, written in the transaction that brought it about; rows are only ever added.

    Most are written by triggers of the database (migration 0037): nothing that changes an order,
    one or a thousand by set, can forget to tell.

    Parameters
    ----------
    seq
        Its place among all, given when it is published: whoever has read up to a number has missed
        nothing before it, in whatever order the transactions committed. None until then.
    principal
        Whom it is told to, as tokens name them.
    kind
        Such as ``order.paid``; the catalogue of messages lists them.
    """

    __table_args__ = (
        UniqueConstraint("seq", name="uq_notice_seq"),
        Index("ix_notice_principal", "principal", "seq"),
        Index("ix_notice_unpublished", "id", postgresql_where=text("seq IS NULL")),
        # That a KYC can be renewed is told once.
        Index(
            "uq_notice_kyc_renewal",
            "subject_id",
            unique=True,
            postgresql_where=text("kind = 'kyc.renewal_due'"),
        ),
    )

    seq: int | None = bigint(default=None)
    principal: str
    kind: str
    subject_kind: str
    subject_id: UUID
    facts: dict[str, Any] = document(default_factory=dict)


class NoticeCursor(SQLModel, table=True):
    """Up to which block what the chain did to holdings has been told."""

    __tablename__ = "notice_cursor"

    chain_id: int = bigint(primary_key=True, sa_column_kwargs={"autoincrement": False})
    block_number: int = bigint()
    block_hash: bytes = binary()
