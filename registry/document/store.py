"""Where papers lie: blobs named by the SHA-256 of their own bytes, written once.

A store sees sealed bytes only: it can neither read what it holds nor tell whose it is.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from registry.kernel.errors import Unavailable

CHUNK_BYTES = 256 * 1024


class DocumentStore(Protocol):
    """Keeps blobs: in a folder by default, in any S3-compatible store by setting."""

    def put(self, chunks: Iterable[bytes]) -> bytes:
        """Store a blob durably, and return its SHA-256; storing it again changes nothing."""
        ...

    def open(self, digest: bytes) -> BinaryIO:
        """Return a blob, checked against its name before its first byte is given out.

        Raises
        ------
        DocumentCorrupted
            It is gone, or is not what was stored.
        StoreUnreachable
        """
        ...

    def remove(self, digest: bytes) -> None:
        """Forget a blob: one that lies sealed anew under another name."""
        ...

    def check(self) -> None:
        """Find out whether the store answers and takes us in.

        Raises
        ------
        StoreUnreachable
        """
        ...


class FolderStore:
    """A content-addressed folder.

    Parameters
    ----------
    directory
        Made when it does not exist.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, chunks: Iterable[bytes]) -> bytes:
        if not self._directory.is_dir():
            self._directory.mkdir(parents=True, exist_ok=True)
            _sync(self._directory.parent)
        # Written aside, synced, then renamed: a reader never sees half a deed.
        with tempfile.NamedTemporaryFile(dir=self._directory, delete=False) as draft:
            try:
                digest = write_hashed(chunks, draft)
                draft.flush()
                os.fsync(draft.fileno())
            except BaseException:
                Path(draft.name).unlink()
                raise
        path = self._path(digest)
        path.parent.mkdir(exist_ok=True)
        Path(draft.name).replace(path)
        # A name survives a power cut only once its folder is synced; whoever made the folder may
        # not have come so far.
        _sync(path.parent)
        _sync(self._directory)
        return digest

    def open(self, digest: bytes) -> BinaryIO:
        try:
            blob = self._path(digest).open("rb")
        except FileNotFoundError as error:
            raise DocumentCorrupted(digest) from error
        if hashlib.file_digest(blob, "sha256").digest() != digest:
            blob.close()
            raise DocumentCorrupted(digest)
        blob.seek(0)
        return blob

    def remove(self, digest: bytes) -> None:
        self._path(digest).unlink(missing_ok=True)

    def check(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self._directory).close()
        except OSError as error:
            raise StoreUnreachable(
                f"The folder of documents in DATA_DIR, {self._directory}, cannot be written: "
                f"{error.strerror}."
            ) from error

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._directory / name[:2] / name


def _sync(directory: Path) -> None:
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class SupportsWrite(Protocol):
    """What a paper is written to: a file, or one that is removed after its use."""

    def write(self, data: bytes, /) -> Any: ...


def write_hashed(chunks: Iterable[bytes], target: SupportsWrite) -> bytes:
    """Write `chunks` one after another, and return the SHA-256 of them all."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        target.write(chunk)
    return digest.digest()


class DocumentCorrupted(Exception):
    """The store lost or changed a document: an alarm, never an answer to a client."""

    def __init__(self, digest: bytes) -> None:
        super().__init__(f"The stored document {digest.hex()} is missing or altered.")
        self.digest = digest


class StoreUnreachable(Unavailable):
    """The store of documents does not answer, or refuses us."""

    def __init__(self, detail: str) -> None:
        super().__init__("document_store_unreachable", detail)
