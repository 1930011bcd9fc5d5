"""The papers of a sale: fixed with their hashes when it opens, accepted by each buyer, for ever."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from registry.document import service as documents
from registry.document.models import Document, DocumentState
from registry.investor.models import Investor
from registry.kernel.actor import Actor
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.kernel.reading import Composed
from registry.kernel.rows import among, among_named
from registry.offering.models import DocumentAcceptance, Offering, OfferingDocument, Order
from registry.tokenization.models import Tokenization


@dataclass(frozen=True, slots=True)
class Accepted:
    """That somebody accepts a paper which they have read.

    Parameters
    ----------
    sha256 : bytes
        32 bytes: of what they have read.
    """

    document_id: UUID
    sha256: bytes


def attach_documents(
    session: Session,
    tokenization: Tokenization,
    offering: Offering,
    document_ids: Iterable[UUID],
) -> None:
    """Have each buyer of a sale accept these papers as they are now.

    Raises
    ------
    NotFound
        There is no such document.
    Invalid
        ``offer_document_wrong``: it is not of the asset.
    Conflict
        ``offer_document_not_verified``.
    """
    for document_id in dict.fromkeys(document_ids):
        document = documents.get_document(session, document_id)
        if document.asset_id != tokenization.asset_id:
            raise Invalid(
                "offer_document_wrong",
                f"The document {document_id} is not of the asset.",
                field="/document_ids",
                remedy="File it under the asset, and have it verified.",
            )
        is_over = document.valid_until is not None and document.valid_until < today()
        if document.state != DocumentState.VERIFIED or is_over:
            raise Conflict(
                "offer_document_not_verified",
                f"The document {document_id} is {'over' if is_over else document.state}.",
                remedy="Have it verified, or offer the newest version of it.",
            )
        session.add(
            OfferingDocument(
                offering_id=offering.id, document_id=document.id, sha256=document.sha256
            )
        )


def require_no_document_revoked(session: Session, offering: Offering) -> None:
    """Stop a sale whose papers have turned out to be wrong; a newer version does not stop it.

    Raises
    ------
    Conflict
        ``offer_document_revoked``.
    """
    revoked = list_revoked(session, offering)
    if revoked:
        raise Conflict(
            "offer_document_revoked",
            f"The {revoked[0].kind} of this sale was revoked; the sale rests.",
            remedy="Compliance decides how the sale ends.",
        )


def list_revoked(session: Session, offering: Offering) -> Sequence[Document]:
    """List the papers of a sale that have turned out to be wrong."""
    return session.exec(
        select(Document)
        .join(OfferingDocument, col(OfferingDocument.document_id) == col(Document.id))
        .where(
            col(OfferingDocument.offering_id) == offering.id,
            col(Document.state) == DocumentState.REVOKED,
        )
        .order_by(col(Document.id))
    ).all()


def require_accepted(session: Session, offering: Offering, accepted: Collection[Accepted]) -> None:
    """Ask that every paper of a sale is accepted, each by the hash that it was opened with.

    Raises
    ------
    Invalid
        ``document_not_of_offering``.
    Conflict
        ``document_hash_differs``, ``documents_not_accepted``.
    """
    wanted = {row.document_id: row.sha256 for row in list_documents(session, [offering.id])}
    for each in accepted:
        if each.document_id not in wanted:
            raise Invalid(
                "document_not_of_offering",
                f"The document {each.document_id} is none of this offering.",
                field="/accepted_documents",
                remedy="The offering lists its documents.",
            )
        if each.sha256 != wanted[each.document_id]:
            raise Conflict(
                "document_hash_differs",
                f"The document {each.document_id} of this offering is "
                f"{wanted[each.document_id].hex()}; another one was accepted.",
                remedy="Read the document as the offering gives it out, and accept its SHA-256.",
            )
    missing = wanted.keys() - {each.document_id for each in accepted}
    if missing:
        raise Conflict(
            "documents_not_accepted",
            f"{len(missing)} of {len(wanted)} documents are not accepted: "
            f"{', '.join(map(str, sorted(missing)))}.",
            remedy="Read them, and send each with its SHA-256 in accepted_documents.",
        )


def record_acceptance(
    session: Session,
    actor: Actor,
    offering: Offering,
    investor: Investor,
    accepted: Collection[Accepted],
    *,
    order_id: UUID | None = None,
    waiting_entry_id: UUID | None = None,
) -> None:
    """Keep what was accepted, for an order or for a place on the waiting list."""
    session.add_all(
        DocumentAcceptance(
            offering_id=offering.id,
            document_id=document_id,
            sha256=sha256,
            investor_id=investor.id,
            accepted_by=actor.subject,
            order_id=order_id,
            waiting_entry_id=waiting_entry_id,
        )
        for document_id, sha256 in {each.document_id: each.sha256 for each in accepted}.items()
    )
    session.flush()


def list_documents(session: Session, offering_ids: Collection[UUID]) -> Sequence[OfferingDocument]:
    """List the papers of some sales."""
    return session.exec(
        select(OfferingDocument)
        .where(among(col(OfferingDocument.offering_id), offering_ids))
        .order_by(col(OfferingDocument.id))
    ).all()


def papers_of(
    session: Session, offering_ids: Collection[UUID]
) -> Mapping[UUID, Sequence[Document]]:
    """Return what buyers of some sales must accept, in one statement however many."""
    found: dict[UUID, list[Document]] = {offering_id: [] for offering_id in offering_ids}
    for offering_id, document in _PAPERS.all(session, offering_ids=list(offering_ids)):
        found[offering_id].append(document)
    return found


_PAPERS = Composed(
    sql_select(col(OfferingDocument.offering_id), Document)
    .join(Document, col(Document.id) == col(OfferingDocument.document_id))
    .where(among_named(col(OfferingDocument.offering_id), "offering_ids"))
    .order_by(col(OfferingDocument.id))
)


def require_of_offering(session: Session, offering_id: UUID, document_id: UUID) -> None:
    """Let a paper be read by who may buy, only because it is one of a sale.

    Raises
    ------
    NotFound
    """
    for row in list_documents(session, [offering_id]):
        if row.document_id == document_id:
            return
    raise NotFound("document", document_id)


def list_acceptances(session: Session, order: Order) -> Sequence[DocumentAcceptance]:
    """List what was accepted for an order, in the order in which it was."""
    entry_id = order.waiting_entry_id
    subject = (
        col(DocumentAcceptance.order_id) == order.id
        if entry_id is None
        else col(DocumentAcceptance.waiting_entry_id) == entry_id
    )
    return session.exec(
        select(DocumentAcceptance).where(subject).order_by(col(DocumentAcceptance.id))
    ).all()
