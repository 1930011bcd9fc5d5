"""The walk of a document: from the upload to the day when its paper proves nothing any more.

A paper is looked through as it is uploaded: none that is stored is UPLOADED.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO

from registry.asset.models import Asset
from registry.document import service as documents
from registry.document.intake import NewDocument
from registry.document.models import Document
from registry.kernel.actor import Role
from registry.kernel.clock import today
from tests.db.beginnings import after
from tests.db.walks.board import Scenario, Walk
from tests.factories import (
    MAKER,
    VERIFIER,
    Desk,
    actor,
    file_document,
    open_apartment,
    pdf,
    verify,
)

KIND, OTHER_KIND = "NEC", "SALE_DEED"
MAKER_WHO_VERIFIES = actor(Role.DOCUMENT_VERIFIER, subject=MAKER.subject)


def upload(desk: Desk, content: bytes, asset: Asset | None = None) -> Document:
    new = NewDocument(kind=KIND, file_name="nec.pdf", content=BytesIO(content))
    asset = asset or open_apartment(desk)
    return documents.upload_document(desk.session, desk.vault, desk.store, MAKER, asset, new)


def upload_program(desk: Desk) -> Document:
    return upload(desk, pdf() + b"/OpenAction << /S /JavaScript >>")


def upload_twice(desk: Desk) -> Document:
    """File the same bytes under two assets."""
    content = pdf()
    upload(desk, content)
    return upload(desk, content)


def pending(desk: Desk) -> Document:
    return file_document(desk, open_apartment(desk), KIND, verified=False)


@after(pending)
def verified(desk: Desk, document: Document) -> Document:
    return verify(desk, document)


def run_out(desk: Desk) -> Document:
    """Give a verified paper whose last day was yesterday."""
    yesterday = today() - timedelta(days=1)
    return file_document(desk, open_apartment(desk), KIND, valid_until=yesterday)


@after(run_out)
def expired(desk: Desk, document: Document) -> Document:
    documents.expire_due(desk.session)
    return document


def verify_own(desk: Desk, document: Document) -> Document:
    return documents.verify_document(
        desk.session, MAKER_WHO_VERIFIES, document.id, source_registry="LDA", reference="1"
    )


def reject(reason: str) -> Callable[[Desk, Document], object]:
    return lambda desk, document: documents.reject_document(
        desk.session, VERIFIER, document.id, reason=reason
    )


def revoke(reason: str) -> Callable[[Desk, Document], object]:
    return lambda desk, document: documents.revoke_document(
        desk.session, VERIFIER, document.id, reason=reason
    )


def replace_by(kind: str) -> Callable[[Desk, Document], object]:
    """File and verify a paper of `kind` that is said to take the record's place."""

    def act(desk: Desk, document: Document) -> Document:
        asset = desk.session.get_one(Asset, document.asset_id)
        return file_document(desk, asset, kind, replaces_id=document.id)

    return act


WALK = Walk(
    machine="document",
    record=pending,
    scenarios=(
        Scenario(
            source="UPLOADED",
            event="scan_ok",
            prepare=None,
            denied=lambda desk, _: upload_twice(desk),
            code="document_known",
            play=lambda desk, _: upload(desk, pdf()),
        ),
        Scenario(
            source="UPLOADED",
            event="scan_fail",
            prepare=None,
            play=lambda desk, _: upload_program(desk),
            kept="The scan itself gives the reason: what it found.",
        ),
        Scenario(
            source="PENDING_VERIFICATION",
            event="verify",
            prepare=pending,
            denied=verify_own,
            code="verifier_is_uploader",
            play=verify,
        ),
        Scenario(
            source="PENDING_VERIFICATION",
            event="reject",
            prepare=pending,
            denied=reject(""),
            code="reason_missing",
            play=reject("Of another flat."),
        ),
        Scenario(
            source="VERIFIED",
            event="expire",
            prepare=run_out,
            play=lambda desk, _: documents.expire_due(desk.session),
            kept="Nobody asks for it; the clock finds only papers whose last day is over.",
        ),
        Scenario(
            source="EXPIRED",
            event="renew",
            prepare=expired,
            denied=replace_by(OTHER_KIND),
            code="document_replaces_wrong",
            play=replace_by(KIND),
        ),
        Scenario(
            source="VERIFIED",
            event="supersede",
            prepare=verified,
            denied=replace_by(OTHER_KIND),
            code="document_replaces_wrong",
            play=replace_by(KIND),
        ),
        Scenario(
            source="VERIFIED",
            event="revoke",
            prepare=verified,
            denied=revoke(""),
            code="reason_missing",
            play=revoke("Found forged."),
        ),
    ),
)
