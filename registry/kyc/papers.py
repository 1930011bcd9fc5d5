"""The papers of a review: filed while it is a draft, sealed and stored as those of assets are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO
from uuid import UUID

from sqlmodel import Session

from registry.document.content import open_sealed, store_sealed
from registry.document.intake import check_bytes
from registry.document.scan import scan
from registry.document.store import DocumentStore
from registry.investor import service as investors
from registry.journal import service as journal
from registry.kernel.actor import Actor, Role
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.kernel.ids import new_id
from registry.kernel.vault import Vault
from registry.kyc.models import KycPaper
from registry.kyc.repository import get_paper, get_review, list_papers
from registry.kyc.service import draft
from registry.party.revealing import Reasons

MAX_PAPERS = 30
PAPER_READERS = (Role.COMPLIANCE, Role.REGULATOR)
"""Who opens the papers of others; who only audits sees that they are there."""


def file_paper(  # noqa: PLR0917
    session: Session,
    vault: Vault,
    store: DocumentStore,
    actor: Actor,
    review_id: UUID,
    kind: str,
    content: BinaryIO,
) -> KycPaper:
    """File a paper of a draft; its type is read from its bytes.

    Raises
    ------
    Invalid
        ``document_empty``, ``document_type_refused``, ``kyc_paper_dangerous``.
    Conflict
        ``kyc_paper_filed``, ``kyc_papers_too_many``, ``kyc_review_submitted``.
    NotFound
    """
    review = draft(session, actor, review_id)
    seen = scan(content)
    media_type = check_bytes(seen)
    if seen.danger is not None:
        raise Invalid("kyc_paper_dangerous", f"It contains {seen.danger}.", field="/file")
    filed = list_papers(session, review.id)
    if any(paper.sha256 == seen.sha256 for paper in filed):
        raise Conflict("kyc_paper_filed", "These very bytes are filed with this review already.")
    if len(filed) >= MAX_PAPERS:
        raise Conflict("kyc_papers_too_many", f"A review has at most {MAX_PAPERS} papers.")
    paper_id = new_id()
    stored_as, sealed = store_sealed(vault, store, paper_id, content, kind)
    paper = KycPaper(
        id=paper_id,
        review_id=review.id,
        kind=kind,
        sha256=seen.sha256,
        size_bytes=seen.size_bytes,
        media_type=media_type,
        stored_as=stored_as,
        sealed=sealed,
        sealed_with=vault.key_id,
        uploaded_by=actor.subject,
    )
    session.add(paper)
    session.flush()
    facts = {"kind": kind, "sha256": seen.sha256.hex(), "review_id": str(review.id)}
    journal.record(session, actor, "kyc_paper_filed", "kyc_paper", paper.id, **facts)
    return paper


def read_paper(  # noqa: PLR0917
    session: Session,
    vault: Vault,
    store: DocumentStore,
    actor: Actor,
    paper_id: UUID,
    reasons: Reasons,
) -> tuple[KycPaper, Iterator[bytes]]:
    """Give out a paper, and journal who read it of whom, and why.

    Raises
    ------
    NotFound, DocumentCorrupted, SealBroken, StoreUnreachable
    """
    paper = get_paper(session, paper_id)
    review = get_review(session, paper.review_id)
    investor = investors.get_investor(session, review.investor_id)
    # By these roles alone, whatever other one let the caller ask.
    if not actor.has(*PAPER_READERS) and not actor.is_person_of(investor.subject):
        raise NotFound("kyc_paper", paper_id)
    content = open_sealed(vault, store, paper.id, paper.stored_as, paper.sealed)
    journal.record(
        session, actor, "kyc_paper_read", "kyc_paper", paper.id,
        **reasons, roles=sorted(actor.roles), rows=1, party_count=1,
        parties=[str(investor.party_id)], kind=paper.kind, review_id=str(paper.review_id),
    )  # fmt: skip
    return paper, content
