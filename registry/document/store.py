"""Where the bytes of documents lie: files named by their own SHA-256."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


class DocumentStore:
    """A content-addressed folder.

    Parameters
    ----------
    directory
        Made when it does not exist.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, content: bytes) -> bytes:
        """Store `content` durably and return its SHA-256; storing it again changes nothing."""
        digest = hashlib.sha256(content).digest()
        path = self._path(digest)
        if path.exists():
            return digest
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside, synced, then renamed: a reader never sees half a deed.
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as draft:
            draft.write(content)
            draft.flush()
            os.fsync(draft.fileno())
        Path(draft.name).rename(path)
        return digest

    def get(self, digest: bytes) -> bytes:
        """Return the bytes, checked against their name.

        Raises
        ------
        DocumentCorrupted
            The file is gone, or is not what was stored.
        """
        try:
            content = self._path(digest).read_bytes()
        except FileNotFoundError as error:
            raise DocumentCorrupted(digest) from error
        if hashlib.sha256(content).digest() != digest:
            raise DocumentCorrupted(digest)
        return content

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._directory / name[:2] / name


class DocumentCorrupted(Exception):
    """The store lost or changed a document: an alarm, never an answer to a client."""

    def __init__(self, digest: bytes) -> None:
        super().__init__(f"The stored document {digest.hex()} is missing or altered.")
        self.digest = digest
