"""/v1/kyc_reviews and an investor's own: said, recommended by one officer, decided by another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import File, Form, Response, UploadFile
from fastapi.responses import StreamingResponse
from sqlmodel import Session

from api.accepted import AcceptDep
from api.deps import ActorDep, ReadSessionDep, SessionDep, StoreDep, VaultDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import FullReadingDep, ReadingDep, ReasonsDep
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.common import Page
from api.schemas.investors import InvestorRead, KycDecision
from api.schemas.kyc import AssessmentFields, KycDocumentRead, KycReviewRead, ProfileFields
from api.schemas.operations import OperationRead
from registry.investor import service as investors
from registry.kernel.actor import OVERSIGHT, Actor
from registry.kernel.errors import Invalid, NotFound
from registry.kernel.vault import Vault
from registry.kyc import decision, papers, repository
from registry.kyc import service as kyc
from registry.kyc.models import KycReview, ReviewState
from registry.kyc_standing import service as standing

router = resource_router("kyc")

Kind = Annotated[str, Form(pattern=r"^[A-Z][A-Z0-9_]{1,63}$")]


def _reader(session: Session, actor: Actor, vault: Vault) -> Callable[[KycReview], KycReviewRead]:
    tells_all = kyc.assessments_told_to(session, actor)
    return lambda review: KycReviewRead.of(vault, review, tells_all=tells_all(review))


def _read(session: Session, actor: Actor, vault: Vault, review: KycReview) -> KycReviewRead:
    return _reader(session, actor, vault)(review)


@router.post("/investors/{investor_id}/kyc_reviews", status_code=201, dependencies=IDEMPOTENT)
def open_kyc_review(
    investor_id: UUID,
    body: ProfileFields,
    session: SessionDep,
    actor: ActorDep,
    vault: VaultDep,
    response: Response,
) -> KycReviewRead:
    """Open a KYC review, or a renewal: of yourself, or as compliance for an investor."""
    review = kyc.open_review(session, vault, actor, investor_id, body.profile())
    response.headers["Location"] = f"/v1/kyc_reviews/{review.id}"
    return _read(session, actor, vault, review)


@router.get("/investors/{investor_id}/kyc_reviews")
def list_investor_kyc_reviews(
    investor_id: UUID,
    session: ReadSessionDep,
    reading: FullReadingDep,
    actor: ActorDep,
    vault: VaultDep,
) -> list[KycReviewRead]:
    """List every review of an investor, oldest first; investors see only their own."""
    investor = investors.get_investor(session, investor_id)
    if not actor.has(*OVERSIGHT) and not actor.is_person_of(investor.subject):
        raise NotFound("investor", investor_id)
    rows = repository.list_reviews_of(session, investor_id)
    return reading.of([*map(_reader(session, actor, vault), rows)])


@router.get("/kyc_reviews")
def list_kyc_reviews(
    session: ReadSessionDep,
    reading: ReadingDep,
    paging: PagingDep,
    actor: ActorDep,
    vault: VaultDep,
    state: ReviewState | None = None,
) -> Page[KycReviewRead]:
    """List reviews, for instance those that wait for a recommendation or a decision."""
    rows = repository.list_reviews(session, state=state, after=paging.after_id, limit=paging.fetch)
    page = paging.page(rows, lambda row: str(row.id), _reader(session, actor, vault))
    return reading.of(page)


@router.get("/kyc_reviews/{review_id}")
def get_kyc_review(
    review_id: UUID,
    session: ReadSessionDep,
    reading: FullReadingDep,
    actor: ActorDep,
    vault: VaultDep,
) -> KycReviewRead:
    """Read a review; its words are hidden, save for a stated reason."""
    review = repository.get_review(session, review_id)
    kyc.require_readable(session, actor, review)
    return reading.of(_read(session, actor, vault, review))


@router.post("/kyc_reviews/{review_id}/profile", dependencies=IDEMPOTENT)
def replace_kyc_profile(
    review_id: UUID, body: ProfileFields, session: SessionDep, actor: ActorDep, vault: VaultDep
) -> KycReviewRead:
    """Replace what a draft says."""
    review = kyc.amend_profile(session, vault, actor, review_id, body.profile())
    return _read(session, actor, vault, review)


@router.post(
    "/kyc_reviews/{review_id}/documents",
    status_code=201,
    dependencies=IDEMPOTENT,
)
def upload_kyc_document(
    review_id: UUID,
    session: SessionDep,
    actor: ActorDep,
    vault: VaultDep,
    store: StoreDep,
    kind: Kind,
    file: Annotated[UploadFile, File()],
) -> KycDocumentRead:
    """File a paper of a draft; its type is read from its bytes."""
    paper = papers.file_paper(session, vault, store, actor, review_id, kind, file.file)
    return KycDocumentRead.of(paper)


@router.get("/kyc_reviews/{review_id}/documents")
def list_kyc_documents(
    review_id: UUID, session: ReadSessionDep, reading: ReadingDep, actor: ActorDep
) -> list[KycDocumentRead]:
    """List the papers of a review."""
    review = repository.get_review(session, review_id)
    kyc.require_readable(session, actor, review)
    reading.investors.add(review.investor_id)
    papers_of = repository.list_papers(session, review_id)
    return reading.of([KycDocumentRead.of(row) for row in papers_of])


@router.get("/kyc_documents/{document_id}/content", response_class=Response)
def get_kyc_document_content(
    document_id: UUID,
    session: SessionDep,
    actor: ActorDep,
    vault: VaultDep,
    store: StoreDep,
    reasons: ReasonsDep,
) -> Response:
    """Download a paper; the journal keeps who did, and why."""
    paper, content = papers.read_paper(session, vault, store, actor, document_id, reasons)
    return StreamingResponse(
        content,
        media_type=paper.media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{paper.id}"',
            "Cache-Control": "no-store",
        },
    )


@router.post("/kyc_reviews/{review_id}/submit", dependencies=IDEMPOTENT)
def submit_kyc_review(
    review_id: UUID, session: SessionDep, actor: ActorDep, vault: VaultDep
) -> KycReviewRead:
    """Hand a review in."""
    return _read(session, actor, vault, kyc.submit_review(session, vault, actor, review_id))


@router.post("/kyc_reviews/{review_id}/withdraw", dependencies=IDEMPOTENT)
def withdraw_kyc_review(
    review_id: UUID, session: SessionDep, actor: ActorDep, vault: VaultDep
) -> KycReviewRead:
    """Take a review back; a KYC that is in force stays so."""
    return _read(session, actor, vault, kyc.withdraw_review(session, actor, review_id))


@router.post("/kyc_reviews/{review_id}/recommend", dependencies=IDEMPOTENT)
def recommend_kyc_review(
    review_id: UUID, body: AssessmentFields, session: SessionDep, actor: ActorDep, vault: VaultDep
) -> KycReviewRead:
    """Judge a review as its first officer: risk, political exposure, and what to decide."""
    review = decision.recommend_review(session, vault, actor, review_id, body.assessment())
    return _read(session, actor, vault, review)


@router.post("/kyc_reviews/{review_id}/return", dependencies=IDEMPOTENT)
def return_kyc_review(
    review_id: UUID, body: Reason, session: SessionDep, actor: ActorDep, vault: VaultDep
) -> KycReviewRead:
    """Give a review back to be completed."""
    review = decision.return_review(session, actor, review_id, reason=body.reason)
    return _read(session, actor, vault, review)


@router.post("/investors/{investor_id}/kyc", status_code=202, dependencies=IDEMPOTENT)
def decide_kyc(
    investor_id: UUID,
    body: KycDecision,
    session: SessionDep,
    actor: ActorDep,
    accept: AcceptDep,
    response: Response,
) -> OperationRead | InvestorRead:
    """Decide as the second officer; an approval makes the identity and its claim on chain."""
    if body.decision == "REJECTED":
        if body.reason is None:
            raise Invalid("kyc_decision_incomplete", "A rejection says why.", field="/reason")
        response.status_code = 200
        return InvestorRead.of(
            session, decision.reject_review(session, actor, investor_id, reason=body.reason)
        )
    if body.evidence_sha256 is None:
        raise Invalid(
            "kyc_decision_incomplete",
            "An approval says on which evidence: the review's review_sha256.",
            field="/evidence_sha256",
        )
    operation = standing.approve_kyc(
        session,
        actor,
        investor_id,
        valid_until=body.valid_until,
        seen_sha256=bytes.fromhex(body.evidence_sha256),
    )
    return accept(operation)


@router.post("/investors/{investor_id}/kyc/revoke", dependencies=IDEMPOTENT)
def revoke_kyc(
    investor_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> InvestorRead:
    """End a KYC at once: its claim is revoked, and what the investor holds is frozen."""
    investor = standing.revoke_kyc(session, actor, investor_id, reason=body.reason)
    return InvestorRead.of(session, investor)
