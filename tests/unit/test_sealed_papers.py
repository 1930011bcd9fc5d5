"""Papers as they lie in the store: sealed, and worth nothing once anybody has touched them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.document import sealing
from registry.document.content import file_name_of, open_content, reseal, store_sealed
from registry.document.models import Document
from registry.document.sealing import CHUNK_BYTES, MAGIC
from registry.document.store import DocumentCorrupted, FolderStore
from registry.kernel.vault import SealBroken, Vault

pytestmark = pytest.mark.unit

HEADER = len(MAGIC) + 7
SEALED_CHUNK = CHUNK_BYTES + 16
PAPER = b"%PDF-1.7\n" + b"the deed of Flat 7-B " * (2 * CHUNK_BYTES // 21 + 100)
"""Two whole chunks, and a third that is not."""
KEY = sealing.new_key()


def sealed(paper: bytes = PAPER, key: bytes = KEY) -> bytes:
    return b"".join(sealing.seal(BytesIO(paper), key))


def unsealed(blob: bytes, key: bytes = KEY) -> bytes:
    return b"".join(sealing.unseal(BytesIO(blob), key))


@given(st.binary(max_size=100), st.sampled_from([0, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1]))
def test_unseal__what_was_sealed__comes_back(end: bytes, zeros: int) -> None:
    paper = bytes(zeros) + end

    blob = sealed(paper)

    assert unsealed(blob) == paper
    assert len(end) < 8 or end not in blob


def test_seal__same_paper_twice__cannot_be_told_to_be_the_same() -> None:
    assert sealed() != sealed()
    assert sealed(key=sealing.new_key())[HEADER:] != sealed()[HEADER:]


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda blob: blob[:at] + bytes([blob[at] ^ 1]) + blob[at:][1:]


def chunks(blob: bytes) -> list[bytes]:
    body = blob[HEADER:]
    return [body[at : at + SEALED_CHUNK] for at in range(0, len(body), SEALED_CHUNK)]


def ordered(*numbers: int) -> Callable[[bytes], bytes]:
    return lambda blob: blob[:HEADER] + b"".join(chunks(blob)[number] for number in numbers)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "magic": flipped(0),
    "nonce": flipped(len(MAGIC)),
    "first_byte": flipped(HEADER),
    "first_tag": flipped(HEADER + CHUNK_BYTES),
    "second_chunk": flipped(HEADER + SEALED_CHUNK + 7),
    "last_chunk": flipped(HEADER + 2 * SEALED_CHUNK),
    "last_byte": lambda blob: blob[:-1] + bytes([blob[-1] ^ 128]),
    "empty": lambda _: b"",
    "header_alone": lambda blob: blob[:HEADER],
    "half_a_header": lambda blob: blob[: HEADER - 1],
    "cut_by_a_byte": lambda blob: blob[:-1],
    "cut_after_a_chunk": ordered(0, 1),
    "first_chunk_gone": ordered(1, 2),
    "middle_chunk_gone": ordered(0, 2),
    "chunks_swapped": ordered(1, 0, 2),
    "chunk_twice": ordered(0, 0, 1, 2),
    "more_at_the_end": lambda blob: blob + b"\0",
    "header_of_another": lambda blob: sealed()[:HEADER] + blob[HEADER:],
    "paper_in_the_clear": lambda _: PAPER,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_unseal__anything_altered__is_broken(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(SealBroken):
        unsealed(damage(sealed()))


def test_unseal__key_of_another_paper__is_broken() -> None:
    with pytest.raises(SealBroken):
        unsealed(sealed(), sealing.new_key())


# In the store


def filed(vault: Vault, store: FolderStore, document_id: UUID | None = None) -> Document:
    document_id = document_id or uuid4()
    stored_as, seal = store_sealed(vault, store, document_id, BytesIO(PAPER), "deed.pdf")
    return document_of(document_id, stored_as, seal, vault.key_id)


def document_of(document_id: UUID, stored_as: bytes, seal: bytes, sealed_with: bytes) -> Document:
    return Document(
        id=document_id,
        asset_id=uuid4(),
        kind="DEED",
        sha256=hashlib.sha256(PAPER).digest(),
        size_bytes=len(PAPER),
        media_type="application/pdf",
        stored_as=stored_as,
        sealed=seal,
        sealed_with=sealed_with,
        uploaded_by="somebody",
    )


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def blob_of(folder: Path, document: Document) -> Path:
    name = document.stored_as.hex()
    return folder / name[:2] / name


def test_open_content__paper_filed__comes_back_with_its_name(
    vault: Vault, store: FolderStore, tmp_path: Path
) -> None:
    document = filed(vault, store)

    assert b"".join(open_content(vault, store, document)) == PAPER
    assert file_name_of(vault, document) == "deed.pdf"
    lying = blob_of(tmp_path, document).read_bytes()
    assert b"deed" not in lying + document.sealed


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_open_content__blob_altered__is_an_alarm_before_the_first_byte(
    vault: Vault, store: FolderStore, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    document = filed(vault, store)
    path = blob_of(tmp_path, document)
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(DocumentCorrupted):
        open_content(vault, store, document)


def test_open_content__blob_of_another_paper__is_broken(vault: Vault, store: FolderStore) -> None:
    document, other = filed(vault, store), filed(vault, store)
    document.stored_as = other.stored_as

    with pytest.raises(SealBroken):
        open_content(vault, store, document)


def test_open_content__blob_and_key_of_another_paper__is_broken(
    vault: Vault, store: FolderStore
) -> None:
    document, other = filed(vault, store), filed(vault, store)
    document.stored_as, document.sealed = other.stored_as, other.sealed

    with pytest.raises(SealBroken):
        open_content(vault, store, document)


def test_reseal__paper_that_lies_open__is_sealed_and_its_old_blob_named(
    vault: Vault, store: FolderStore, tmp_path: Path
) -> None:
    document_id = uuid4()
    said = {"id": str(document_id), "key": None, "file_name": "deed.pdf"}
    open_blob = store.put([PAPER])
    document = document_of(document_id, open_blob, vault.seal(json.dumps(said)), b"")
    assert b"".join(open_content(vault, store, document)) == PAPER

    assert reseal(vault, store, document) == open_blob

    assert document.sealed_with == vault.key_id
    assert b"deed" not in blob_of(tmp_path, document).read_bytes()
    assert b"".join(open_content(vault, store, document)) == PAPER


def test_reseal__paper_under_a_key__stays_where_it_lies(vault: Vault, store: FolderStore) -> None:
    document = filed(vault, store)
    lay, seal = document.stored_as, document.sealed

    assert reseal(vault, store, document) is None

    assert document.stored_as == lay
    assert document.sealed != seal
    assert b"".join(open_content(vault, store, document)) == PAPER
