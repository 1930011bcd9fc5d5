from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO

import pytest

from registry.asset.models import Asset
from registry.document import service as documents
from registry.document.content import open_content
from registry.document.intake import NewDocument
from registry.document.models import Document, DocumentState
from registry.document.scan import CHUNK_BYTES
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.onboarding import service as onboarding
from registry.onboarding.decision import REQUISITION_LIFETIME
from tests import factories as make
from tests.factories import MAKER, VERIFIER, Desk

pytestmark = pytest.mark.db

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
TIFF = b"II*\x00\x08\x00\x00\x00\x00\x00"


def upload(desk: Desk, asset: Asset, content: bytes, **fields: object) -> Document:
    new = NewDocument(
        kind="NEC",
        file_name="nec.pdf",
        content=BytesIO(content),
        **fields,  # type: ignore[arg-type]
    )
    return documents.upload_document(desk.session, desk.vault, desk.store, MAKER, asset, new)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (make.pdf(), "application/pdf"),
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (TIFF, "image/tiff"),
    ],
    ids=["PDF", "PNG", "JPEG", "TIFF"],
)
def test_upload__accepted_type__is_read_from_the_bytes(
    desk: Desk, content: bytes, media_type: str
) -> None:
    paper = upload(desk, make.open_apartment(desk), content)

    assert paper.media_type == media_type
    assert paper.state == DocumentState.PENDING_VERIFICATION
    assert paper.sha256 == hashlib.sha256(content).digest()
    assert paper.size_bytes == len(content)
    assert b"".join(open_content(desk.vault, desk.store, paper)) == content


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "document_empty"),
        (b"%PDX", "document_type_refused"),
        (b"MZ\x90\x00" + bytes(60), "document_type_refused"),
        (b"PK\x03\x04" + bytes(60), "document_type_refused"),
        (b"<html><script>", "document_type_refused"),
    ],
)
def test_upload__other_bytes__are_refused_whatever_the_name(
    desk: Desk, content: bytes, code: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        upload(desk, make.open_apartment(desk), content)

    assert (refusal.value.code, refusal.value.field) == (code, "/file")


def test_upload__issued_today__is_accepted(desk: Desk) -> None:
    assert upload(desk, make.open_apartment(desk), make.pdf(), issued_on=today()).id


def test_upload__issued_tomorrow__is_refused(desk: Desk) -> None:
    with pytest.raises(Invalid, match="document_dated_in_future"):
        upload(desk, make.open_apartment(desk), make.pdf(), issued_on=today() + timedelta(days=1))


def test_upload__same_bytes_under_another_asset__is_refused(desk: Desk) -> None:
    content = make.pdf()
    upload(desk, make.open_apartment(desk), content)

    with pytest.raises(Conflict, match="document_known"):
        upload(desk, make.open_apartment(desk), content)


def test_upload__same_bytes_after_rejection__is_accepted(desk: Desk) -> None:
    content = make.pdf()
    asset = make.open_apartment(desk)
    first = upload(desk, asset, content)
    documents.reject_document(desk.session, VERIFIER, first.id, reason="Wrong estate")

    assert upload(desk, asset, content).id != first.id
    assert (first.state, first.reason) == (DocumentState.REJECTED, "Wrong estate")


def test_verify__by_the_uploader__is_forbidden(desk: Desk) -> None:
    paper = upload(desk, make.open_apartment(desk), make.pdf())
    both = make.actor(Role.DOCUMENT_VERIFIER, subject=MAKER.subject)

    with pytest.raises(Forbidden, match="verifier_is_uploader"):
        documents.verify_document(
            desk.session, both, paper.id, source_registry="LDA", reference="1"
        )


def test_verify__without_the_role__is_forbidden(desk: Desk) -> None:
    paper = upload(desk, make.open_apartment(desk), make.pdf())

    with pytest.raises(Forbidden, match="transition_forbidden"):
        documents.verify_document(
            desk.session, make.CHECKER, paper.id, source_registry="LDA", reference="1"
        )


def test_verify__rejected_paper__is_refused(desk: Desk) -> None:
    paper = upload(desk, make.open_apartment(desk), make.pdf())
    documents.reject_document(desk.session, VERIFIER, paper.id, reason="Blank")

    with pytest.raises(Conflict, match="transition_refused"):
        make.verify(desk, paper)


def test_verify__source_registry__is_kept(desk: Desk) -> None:
    paper = make.file_document(desk, make.open_apartment(desk), "NEC")

    assert paper.state == DocumentState.VERIFIED
    assert (paper.source_registry, paper.source_reference) == ("Sub-Registrar", "1/2026")
    assert paper.verified_by == VERIFIER.subject
    assert paper.verified_at is not None


def test_verified_kinds__only_good_papers_count(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    make.file_document(desk, asset, "GOOD")
    make.file_document(desk, asset, "GOOD_UNTIL_TODAY", valid_until=today())
    make.file_document(desk, asset, "RAN_OUT", valid_until=today() - timedelta(days=1))
    make.file_document(desk, asset, "WAITING", verified=False)
    make.file_document(desk, make.open_apartment(desk), "OF_ANOTHER_ASSET")

    assert documents.verified_kinds(desk.session, asset.id) == {"GOOD", "GOOD_UNTIL_TODAY"}


# Papers in which something runs


@pytest.mark.parametrize(
    ("hidden", "named"),
    [
        (b"<< /S /JavaScript /JS (app.alert(1)) >>", "/JavaScript"),
        (b"<< /S /Launch /F (cmd.exe) >>", "/Launch"),
        (b"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!", "antivirus"),
    ],
)
@pytest.mark.parametrize("before", [0, CHUNK_BYTES - 15, 3 * CHUNK_BYTES])
def test_upload__something_runs_in_it__is_kept_as_rejected(
    desk: Desk, hidden: bytes, named: str, before: int
) -> None:
    """Wherever it stands, also across two pieces of the reading."""
    paper = upload(desk, make.open_apartment(desk), make.pdf() + bytes(before) + hidden)

    assert paper.state == DocumentState.REJECTED
    assert paper.reason is not None
    assert named in paper.reason
    with pytest.raises(Conflict, match="transition_refused"):
        make.verify(desk, paper)


# One paper takes the place of another


def test_verify__paper_that_replaces_another__supersedes_it(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    old = make.file_document(desk, asset, "NEC")
    newer = make.file_document(desk, asset, "NEC", verified=False, replaces_id=old.id)
    assert "NEC" in documents.verified_kinds(desk.session, asset.id)

    make.verify(desk, newer)

    assert old.state == DocumentState.SUPERSEDED


def test_verify__paper_that_replaces_one_that_ran_out__renews_it(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    old = make.file_document(desk, asset, "NEC", valid_until=today() - timedelta(days=1))
    current = make.file_document(desk, asset, "NEC_2", valid_until=today())
    assert documents.expire_due(desk.session) == 1
    assert (old.state, current.state) == (DocumentState.EXPIRED, DocumentState.VERIFIED)

    make.file_document(desk, asset, "NEC", replaces_id=old.id)

    assert old.state == DocumentState.SUPERSEDED
    assert documents.expire_due(desk.session) == 0


def test_verify__replaced_paper_was_revoked_meanwhile__leaves_it_revoked(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    old = make.file_document(desk, asset, "NEC")
    newer = make.file_document(desk, asset, "NEC", verified=False, replaces_id=old.id)
    documents.revoke_document(desk.session, VERIFIER, old.id, reason="Forged")

    make.verify(desk, newer)

    assert (old.state, newer.state) == (DocumentState.REVOKED, DocumentState.VERIFIED)


@pytest.mark.parametrize("wrong", ["kind", "asset", "state"])
def test_upload__replaces_what_it_cannot__is_refused(desk: Desk, wrong: str) -> None:
    asset = make.open_apartment(desk)
    old = make.file_document(
        desk,
        make.open_apartment(desk) if wrong == "asset" else asset,
        "DEED" if wrong == "kind" else "NEC",
        verified=wrong != "state",
    )

    with pytest.raises(Invalid) as refusal:
        upload(desk, asset, make.pdf(), replaces_id=old.id)

    assert (refusal.value.code, refusal.value.field) == ("document_replaces_wrong", "/replaces_id")


# Papers of a dossier that is gone


def rejected(desk: Desk) -> Asset:
    asset = make.in_review(desk, make.open_apartment(desk))
    return onboarding.reject_dossier(desk.session, make.CHECKER, asset.id, reason="Forged deed")


def withdrawn(desk: Desk) -> Asset:
    asset = make.open_apartment(desk)
    make.file_required(desk, asset)
    return onboarding.withdraw_dossier(desk.session, MAKER, asset.id)


def lapsed(desk: Desk) -> Asset:
    asset = make.in_review(desk, make.open_apartment(desk))
    onboarding.return_dossier(desk.session, make.CHECKER, asset.id, reason="Unreadable")
    asset.requisitioned_at = now() - REQUISITION_LIFETIME - timedelta(seconds=1)
    return onboarding.lapse_dossier(desk.session, asset.id)


ENDS = pytest.mark.parametrize("end", [rejected, withdrawn, lapsed])


@ENDS
def test_upload__bytes_of_a_dossier_that_is_gone__are_accepted_elsewhere(
    desk: Desk, end: Callable[[Desk], Asset]
) -> None:
    gone = end(desk)
    paper = documents.list_documents(desk.session, gone.id)[0]
    content = b"".join(open_content(desk.vault, desk.store, paper))

    again = upload(desk, make.open_apartment(desk), content)

    assert (again.sha256, again.state) == (paper.sha256, DocumentState.PENDING_VERIFICATION)
    assert paper.released
    assert not again.released
    # and it stands under that one asset now
    with pytest.raises(Conflict, match="document_known"):
        upload(desk, make.open_apartment(desk), content)


@ENDS
def test_upload__under_a_dossier_that_is_gone__is_refused(
    desk: Desk, end: Callable[[Desk], Asset]
) -> None:
    with pytest.raises(Conflict, match="asset_gone"):
        upload(desk, end(desk), make.pdf())


def test_upload__bytes_of_an_asset_sent_back__stay_its_own(desk: Desk) -> None:
    asset = make.in_review(desk, make.open_apartment(desk))
    onboarding.return_dossier(desk.session, make.CHECKER, asset.id, reason="Unreadable")
    paper = documents.list_documents(desk.session, asset.id)[0]
    content = b"".join(open_content(desk.vault, desk.store, paper))

    with pytest.raises(Conflict, match="document_known"):
        upload(desk, make.open_apartment(desk), content)


def test_get__unknown__is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound, match="document"):
        documents.get_document(desk.session, make.open_apartment(desk).id)
