"""/v1/certificates: what the register certifies of a title or a holding, and whether it holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from sqlmodel import Session

from api.auth.strangers import COUNT_REQUEST
from api.certificate_page import standing_page, unknown_page
from api.deps import (
    ActorDep,
    FinalityDep,
    ReadSessionDep,
    Services,
    ServicesDep,
    SessionDep,
    VaultDep,
)
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.routes.router import open_router, resource_router
from api.schemas.assets import Reason
from api.schemas.certificates import (
    CertificateAnswer,
    CertificateCreate,
    CertificateRead,
    CertificateStandingRead,
    SignedCertificateRead,
)
from api.schemas.common import PROBLEMS, Page, Sha256Hex, address_of
from registry.asset import service as assets
from registry.certificate import service as certificates
from registry.certificate.certificate_pdf import certificate_pdf
from registry.certificate.models import Certificate
from registry.certificate.record import anchor_of, record_of
from registry.certificate.standing import standing_of
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import NotFound
from registry.kernel.messages import spoken
from registry.kernel.vault import Vault

router = resource_router("certificates")
public = open_router("certificates", prefix="/v1", responses=PROBLEMS, dependencies=[COUNT_REQUEST])


class CertificateFormat(StrEnum):
    """In what a certificate comes."""

    JSON = "json"
    PDF = "pdf"


PDF = "application/pdf"
HTML = "text/html"
_FILES: dict[int | str, dict[str, Any]] = {200: {"content": {PDF: {}}}}
_PAGES: dict[int | str, dict[str, Any]] = {200: {"content": {HTML: {}}}}


@dataclass(frozen=True, slots=True)
class Desk:
    """What every answer about certificates needs."""

    services: Services
    needed: int

    @property
    def chain_id(self) -> int:
        return self.services.settings.chain_id

    def verify_at(self, certificate: Certificate) -> str:
        base = self.services.settings.public_base
        digest = certificate.content_sha256.hex()
        return f"{base}/v1/certificates/{certificate.id}/verify?sha256={digest}"

    def is_anchored(self, session: Session, certificate: Certificate) -> bool:
        return anchor_of(session, certificate, self.chain_id, self.needed) is not None

    def read(self, session: Session, certificate: Certificate) -> CertificateRead:
        return CertificateRead.of(
            certificate,
            is_anchored=self.is_anchored(session, certificate),
            verify_at=self.verify_at(certificate),
        )


def get_desk(needed: FinalityDep, services: ServicesDep) -> Desk:
    return Desk(services, needed)


DeskDep = Annotated[Desk, Depends(get_desk)]
FormatParam = Annotated[
    CertificateFormat | None,
    Query(alias="format", description="Without it, what Accept names: JSON or PDF"),
]


@router.post("/certificates", status_code=201, dependencies=IDEMPOTENT)
def issue_certificate(
    body: CertificateCreate,
    desk: DeskDep,
    session: SessionDep,
    vault: VaultDep,
    actor: ActorDep,
    response: Response,
) -> CertificateRead:
    """Certify a title, as the register's staff; or your own holding, as an investor."""
    issued = _issue(body, desk, session, vault, actor)
    response.headers["Location"] = f"/v1/certificates/{issued.id}"
    return desk.read(session, issued)


def _issue(
    body: CertificateCreate, desk: Desk, session: Session, vault: Vault, actor: Actor
) -> Certificate:
    if body.token_id is not None:
        return certificates.issue_holding(
            session, vault, actor, body.token_id,
            chain_id=desk.chain_id, needed=desk.needed, write_address=address_of,
        )  # fmt: skip
    assert body.title_id is not None, "a body names one of them"
    assert body.purpose is not None
    assert body.legal_basis is not None
    return certificates.issue_title(
        session, vault, actor, body.title_id, purpose=body.purpose, legal_basis=body.legal_basis
    )


@router.get("/certificates")
def list_certificates(
    desk: DeskDep, session: ReadSessionDep, actor: ActorDep, paging: PagingDep
) -> Page[CertificateRead]:
    """List the certificates that were issued to you, oldest first."""
    rows = certificates.list_own(session, actor, after=paging.after_id, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.id), lambda row: desk.read(session, row))


@router.get(
    "/certificates/{certificate_id}", response_model=SignedCertificateRead, responses=_FILES
)
def get_certificate(
    certificate_id: UUID,
    desk: DeskDep,
    session: SessionDep,
    actor: ActorDep,
    request: Request,
    wanted: FormatParam = None,
) -> SignedCertificateRead | Response:
    """Take a certificate that was issued to you: signed, and with its proof once there is one.

    The PDF is in English or Urdu, as Accept-Language says.
    """
    certificate = certificates.get_own(session, actor, certificate_id)
    certificates.note_taking(session, actor, certificate)
    services = desk.services
    record = record_of(
        session, services.vault, services.signing[0], certificate,
        chain_id=desk.chain_id, needed=desk.needed, write_address=address_of,
    )  # fmt: skip
    if not _is_pdf(request, wanted):
        return SignedCertificateRead.of(record)
    content = certificate_pdf(
        record, services.signing[0], spoken(), verify_at=desk.verify_at(certificate)
    )
    name = f"certificate_{certificate.id}.pdf"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=PDF, headers=headers)


def _is_pdf(request: Request, wanted: CertificateFormat | None) -> bool:
    if wanted is not None:
        return wanted is CertificateFormat.PDF
    return PDF in request.headers.get("accept", "")


@router.post("/certificates/{certificate_id}/revoke", dependencies=IDEMPOTENT)
def revoke_certificate(
    certificate_id: UUID, body: Reason, desk: DeskDep, session: SessionDep, actor: ActorDep
) -> CertificateRead:
    """Revoke a certificate that should not have been issued."""
    row = certificates.revoke(session, actor, certificate_id, reason=body.reason)
    return desk.read(session, row)


@public.get(
    "/certificates/{certificate_id}/verify",
    response_model=CertificateStandingRead,
    responses=_PAGES,
)
def verify_certificate(
    certificate_id: UUID,
    desk: DeskDep,
    session: ReadSessionDep,
    request: Request,
    sha256: Annotated[
        Sha256Hex | None, Query(description="Of the content that you were handed")
    ] = None,
) -> CertificateStandingRead | Response:
    """Ask whether a certificate still holds; nobody signs in for it, and it names nobody."""
    is_page = HTML in request.headers.get("accept", "")
    certificate = certificates.find_certificate(session, certificate_id)
    if certificate is None:
        if is_page:
            return unknown_page(certificate_id)
        raise NotFound("certificate", certificate_id)
    told = CertificateStandingRead.of(
        certificate,
        standing_of(session, certificate),
        asset_code=assets.get_asset(session, certificate.asset_id).code,
        is_anchored=desk.is_anchored(session, certificate),
        needed=desk.needed,
        checked_at=now(),
    )
    if sha256 is not None and sha256 != certificate.content_sha256.hex():
        told.state = CertificateAnswer.OTHER_CONTENT
    return standing_page(told) if is_page else told
