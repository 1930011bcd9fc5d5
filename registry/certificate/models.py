"""Certificates: what the register says of a title or of a holding, on a paper that can be checked.

A certificate is issued once and never changed. Whether it still holds is asked when somebody asks
(`registry.certificate.standing`); only its revocation is written down.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, binary, document, enumeration, instant


class CertificateKind(StrEnum):
    TITLE = "TITLE"
    HOLDING = "HOLDING"


_HOLDING = (
    "(kind = 'HOLDING') = (tokenization_id IS NOT NULL)"
    " AND (tokenization_id IS NULL) = (investor_id IS NULL)"
    " AND (tokenization_id IS NULL) = (chain_id IS NULL)"
    " AND (tokenization_id IS NULL) = (block_number IS NULL)"
    " AND (tokenization_id IS NULL) = (block_hash IS NULL)"
)


class Certificate(Record, table=True):
    """One certificate; its content names people, and is kept sealed.

    Parameters
    ----------
    title_version_id
        The version of the title that it was issued on.
    tokenization_id, investor_id, chain_id, block_number, block_hash
        Of a holding: whose, of which token, at which block.
    told
        What of it may change, and ends it when it does; it names nobody.
    content_sha256
        Of the content's canonical JSON; the journal's act `certificate_issued` says the same.
    sealed, sealed_with
        The content, and the vault's keys of that time.
    """

    __table_args__ = (
        CheckConstraint(_HOLDING, name="ck_certificate_holding"),
        CheckConstraint("octet_length(content_sha256) = 32", name="ck_certificate_hash"),
        CheckConstraint(
            "(revoked_at IS NULL) = (revoked_by IS NULL)", name="ck_certificate_revoked"
        ),
    )

    kind: CertificateKind = enumeration(CertificateKind)
    asset_id: UUID = Field(foreign_key="asset.id", index=True)
    title_id: UUID = Field(foreign_key="title.id", index=True)
    title_version_id: UUID = Field(foreign_key="title_version.id")
    tokenization_id: UUID | None = Field(default=None, foreign_key="tokenization.id")
    investor_id: UUID | None = Field(default=None, foreign_key="investor.id", index=True)
    chain_id: int | None = bigint(default=None)
    block_number: int | None = bigint(default=None)
    block_hash: bytes | None = binary(nullable=True, default=None)
    told: dict[str, Any] = document()
    content_sha256: bytes = binary(unique=True)
    sealed: bytes = binary()
    sealed_with: bytes = binary(index=True)
    issued_by: str
    revoked_at: AwareDatetime | None = instant()
    revoked_by: str | None = None
