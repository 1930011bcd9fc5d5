"""Two people at one paper, or one at a paper and one at its dossier, in the same moment."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
from sqlmodel import Session, select

from registry.asset.models import Asset
from registry.document import service as documents
from registry.document.intake import BytesUnderAnotherAsset, NewDocument
from registry.document.models import Document
from registry.document.store import FolderStore
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.kernel.vault import Vault
from registry.onboarding import service as onboarding
from tests import factories as make
from tests.db.races import Act, meanwhile, together
from tests.factories import MAKER, Desk

pytestmark = pytest.mark.db


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def blobs(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def test_upload__while_its_dossier_is_withdrawn__is_refused_and_leaves_no_blob(
    fresh_database: Database, vault: Vault, store: FolderStore, tmp_path: Path
) -> None:
    with fresh_database.transaction() as session:
        asset = make.open_apartment(Desk(session, vault, store))

    def upload(session: Session) -> Document:
        mine = session.get_one(Asset, asset.id)
        new = NewDocument(kind="NEC", file_name="nec.pdf", content=BytesIO(make.pdf()))
        return documents.upload_document(session, vault, store, MAKER, mine, new)

    with fresh_database.transaction() as session:
        onboarding.withdraw_dossier(session, MAKER, asset.id)
        with meanwhile(fresh_database, upload) as late:
            session.commit()

    refusal = late.exception()
    assert isinstance(refusal, Conflict)
    assert refusal.code == "asset_gone"
    assert blobs(tmp_path) == 0
    with fresh_database.reading() as reading:
        assert not reading.exec(select(Document)).all()


def test_upload__same_bytes_under_many_assets_at_once__one_holds_them(
    fresh_database: Database, vault: Vault, store: FolderStore, tmp_path: Path
) -> None:
    content = make.pdf()
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        ids = [make.open_apartment(desk).id for _ in range(4)]

    def upload_to(asset_id: UUID) -> Act[Document]:
        def act(session: Session) -> Document:
            mine = session.get_one(Asset, asset_id)
            new = NewDocument(kind="NEC", file_name="nec.pdf", content=BytesIO(content))
            return documents.upload_document(session, vault, store, MAKER, mine, new)

        return act

    came = together(fresh_database, [upload_to(asset_id) for asset_id in ids])

    assert Counter(type(outcome) for outcome in came) == {Document: 1, BytesUnderAnotherAsset: 3}
    assert blobs(tmp_path) == 1
