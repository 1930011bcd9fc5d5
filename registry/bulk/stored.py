"""The file of an import, sealed in the document store until the import ends: it names people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from registry.bulk.formats import SourceRow, read_rows
from registry.bulk.models import BulkImport
from registry.bulk.source import read_pieces
from registry.document import sealing
from registry.document.content import store_sealed
from registry.document.store import DocumentStore
from registry.kernel.vault import Vault, said_in


def store_file(vault: Vault, store: DocumentStore, job: BulkImport, file: BinaryIO) -> None:
    """Seal the file under a key of its own, and store it."""
    job.stored_as, job.sealed = store_sealed(vault, store, job.id, file, "import")


def stored_rows(vault: Vault, store: DocumentStore, job: BulkImport) -> Iterator[SourceRow]:
    """Yield the rows of a stored file.

    Raises
    ------
    DocumentCorrupted, SealBroken, StoreUnreachable
    """
    assert job.sealed is not None, "an open import has its file"
    assert job.stored_as is not None
    said = said_in(vault.unseal(job.sealed), job.id, "key")
    with store.open(job.stored_as) as blob:
        chunks = sealing.unseal(blob, bytes.fromhex(said["key"]))
        yield from read_rows(job.file_format, read_pieces(_Chunks(chunks)))


class _Chunks:
    """Reads chunk after chunk, whatever size is asked for."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, _size: int, /) -> bytes:
        return next(self._chunks, b"")
