"""The content of a paper: sealed into the store under a key of its own, and read back.

The vault seals only that key, with the file's name; rotating the vault's keys rewrites a few
bytes a paper, never the papers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO
from uuid import UUID

from registry.document import sealing
from registry.document.models import Document
from registry.document.store import CHUNK_BYTES, DocumentStore
from registry.kernel.vault import SealBroken, Vault, said_in


def store_sealed(
    vault: Vault, store: DocumentStore, document_id: UUID, paper: BinaryIO, file_name: str
) -> tuple[bytes, bytes]:
    """Store `paper`, and return the name of its blob and the sealed key.

    Parameters
    ----------
    document_id
        Sealed in as well: the key of one document is not taken for another's.
    """
    key = sealing.new_key()
    stored_as = store.put(sealing.seal(paper, key))
    said = {"id": str(document_id), "key": key.hex(), "file_name": file_name}
    return stored_as, vault.seal(json.dumps(said))


def file_name_of(vault: Vault, document: Document) -> str:
    return str(_unsealed(vault, document)["file_name"])


def open_content(vault: Vault, store: DocumentStore, document: Document) -> Iterator[bytes]:
    """Open a paper and yield it; it is whole and unaltered before this returns.

    Raises
    ------
    DocumentCorrupted, SealBroken, StoreUnreachable
    """
    return open_sealed(vault, store, document.id, document.stored_as, document.sealed)


def open_sealed(
    vault: Vault, store: DocumentStore, document_id: UUID, stored_as: bytes, sealed: bytes
) -> Iterator[bytes]:
    """Open what `store_sealed` stored under this id, and yield it.

    Raises
    ------
    DocumentCorrupted, SealBroken, StoreUnreachable
    """
    key = _opened(vault, document_id, sealed)["key"]
    blob = store.open(stored_as)
    # Papers filed before they were sealed lie as they are until `milkiyat keys rotate` has run.
    chunks = sealing.unseal(blob, bytes.fromhex(key)) if key is not None else _plain(blob)
    try:
        first = next(chunks, b"")
    except SealBroken:
        blob.close()
        raise
    return _all(first, chunks, blob)


def reseal(vault: Vault, store: DocumentStore, document: Document) -> bytes | None:
    """Seal the key of `document` anew, and the paper itself if it still lies open.

    Returns
    -------
    bytes | None
        Name of a blob that is not needed any more, once this is committed.
    """
    said, before = _unsealed(vault, document), None
    if said["key"] is None:
        before = document.stored_as
        with store.open(before) as paper:
            document.stored_as, document.sealed = store_sealed(
                vault, store, document.id, paper, said["file_name"]
            )
    else:
        document.sealed = vault.seal(json.dumps(said))
    document.sealed_with = vault.key_id
    return before


def _unsealed(vault: Vault, document: Document) -> dict[str, Any]:
    return _opened(vault, document.id, document.sealed)


def _opened(vault: Vault, document_id: UUID, sealed: bytes) -> dict[str, Any]:
    return said_in(vault.unseal(sealed), document_id, "key", "file_name")


def _plain(blob: BinaryIO) -> Iterator[bytes]:
    while chunk := blob.read(CHUNK_BYTES):
        yield chunk


def _all(first: bytes, rest: Iterator[bytes], blob: BinaryIO) -> Iterator[bytes]:
    with blob:
        yield first
        yield from rest
