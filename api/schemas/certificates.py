"""Certificates over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from api.schemas.common import AsOfBlockRead, Body, Read
from registry.certificate.models import Certificate, CertificateKind
from registry.certificate.record import ANCHORED, PENDING, Record
from registry.certificate.standing import Cause, Change, Standing

Stated = Annotated[str, StringConstraints(min_length=3, max_length=500, strip_whitespace=True)]


class CertificateCreate(Body):
    """Certify a title as it stands now, which names its owners; or what you hold of a token.

    `TITLE` takes `title_id`, and `purpose` and `legal_basis`, which are journalled. `HOLDING` takes
    `token_id`; it speaks of the newest final block.
    """

    kind: CertificateKind
    title_id: UUID | None = None
    token_id: UUID | None = None
    purpose: Annotated[Stated | None, Field(description="What it is for; of a title")] = None
    legal_basis: Annotated[Stated | None, Field(description="What lets you; of a title")] = None

    @model_validator(mode="after")
    def _names_what_its_kind_takes(self) -> Self:
        of_title = (self.title_id, self.purpose, self.legal_basis)
        if self.kind is CertificateKind.TITLE and (None in of_title or self.token_id is not None):
            raise ValueError("TITLE takes title_id, purpose and legal_basis")
        if self.kind is CertificateKind.HOLDING and (
            self.token_id is None or of_title != (None, None, None)
        ):
            raise ValueError("HOLDING takes token_id alone")
        return self


class CertificateAnchoring(StrEnum):
    """Whether the root under which a certificate lies is final on chain."""

    PENDING_ANCHOR = PENDING
    ANCHORED = ANCHORED


class CertificateRead(Read):
    """A certificate that was issued to you; `verify_at` is what its QR code says."""

    id: UUID
    kind: CertificateKind
    state: CertificateAnchoring
    issued_at: datetime
    asset_id: UUID
    title_id: UUID
    token_id: UUID | None
    content_sha256: str
    revoked_at: datetime | None
    verify_at: str

    @classmethod
    def of(cls, certificate: Certificate, *, is_anchored: bool, verify_at: str) -> Self:
        return cls(
            id=certificate.id,
            kind=certificate.kind,
            state=CertificateAnchoring(ANCHORED if is_anchored else PENDING),
            issued_at=certificate.recorded_at,
            asset_id=certificate.asset_id,
            title_id=certificate.title_id,
            token_id=certificate.tokenization_id,
            content_sha256=certificate.content_sha256.hex(),
            revoked_at=certificate.revoked_at,
            verify_at=verify_at,
        )


class SignedCertificateRead(Read):
    """What `milkiyat verify` checks: keep the answer as it is, as a file.

    `content` is what the certificate says; `envelope` has its SHA-256 (RFC 8785), the state and the
    SHA-256 of `proof`, and is signed. `proof` leads from the act of the journal that issued it to a
    root on chain, and is null while the state is PENDING_ANCHOR. Integers are strings.
    """

    envelope: dict[str, str]
    signature: str
    state: CertificateAnchoring
    content: dict[str, Any]
    proof: dict[str, Any] | None

    @classmethod
    def of(cls, record: Record) -> Self:
        return cls(**record)


class CertificateAnswer(StrEnum):
    """`OTHER_CONTENT`: the number is ours, the content that was asked about is not.

    `UNCERTAIN`: what is known of the chain is not to be relied on; `block.degraded` says why.
    """

    VALID = "VALID"
    UNCERTAIN = "UNCERTAIN"
    SUPERSEDED = "SUPERSEDED"
    REVOKED = "REVOKED"
    OTHER_CONTENT = "OTHER_CONTENT"


class CertificateChangeRead(Read):
    """What ended a certificate: since when, and by which later version, state or block."""

    cause: Cause
    at: datetime | None
    by: str | None

    @classmethod
    def of(cls, change: Change) -> Self:
        return cls(cause=change.cause, at=change.at, by=change.by)


class CertificateStandingRead(Read):
    """Whether a certificate still holds, for whoever was handed it; it names nobody.

    `changes` has what the certificate does not know of, the earliest first. Of a holding, `block`
    is the newest that was looked at.
    """

    id: UUID
    state: CertificateAnswer
    kind: CertificateKind
    asset_code: str
    issued_at: datetime
    anchoring: CertificateAnchoring
    changes: list[CertificateChangeRead]
    block: AsOfBlockRead | None
    checked_at: datetime

    @classmethod
    def of(
        cls,
        certificate: Certificate,
        standing: Standing,
        *,
        asset_code: str,
        is_anchored: bool,
        needed: int,
        checked_at: datetime,
    ) -> Self:
        changes: Sequence[Change] = standing.changes
        return cls(
            id=certificate.id,
            state=CertificateAnswer(standing.state),
            kind=certificate.kind,
            asset_code=asset_code,
            issued_at=certificate.recorded_at,
            anchoring=CertificateAnchoring(ANCHORED if is_anchored else PENDING),
            changes=[CertificateChangeRead.of(change) for change in changes],
            block=AsOfBlockRead.of(standing.block, needed) if standing.block else None,
            checked_at=checked_at,
        )
