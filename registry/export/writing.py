"""Writing an export from one snapshot of the database, into any file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import BinaryIO

from sqlmodel import Session

from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.branches import same_block_at
from registry.captable.models import Token
from registry.captable.readings import require_known
from registry.document.store import CHUNK_BYTES
from registry.export.csv_file import write_csv
from registry.export.models import CapTableExport, ExportFormat
from registry.export.ocf import write_ocf
from registry.export.sheet import Advance, count_rows, stream_rows
from registry.export.titling import sheet_of
from registry.kernel.errors import Conflict

_WRITERS = {ExportFormat.CSV: write_csv, ExportFormat.OCF: write_ocf}
MEDIA_TYPES: Mapping[ExportFormat, str] = {
    ExportFormat.CSV: "text/csv; charset=utf-8; header=present",
    ExportFormat.OCF: "application/zip",
}
SUFFIXES: Mapping[ExportFormat, str] = {ExportFormat.CSV: "csv", ExportFormat.OCF: "ocf.zip"}

Checksummed = Callable[[str], str]
"""Writes 40 hex digits as an EIP-55 address: the registry does not know how."""


def write_export(
    session: Session,
    job: CapTableExport,
    target: BinaryIO,
    advance: Advance,
    checksummed: Checksummed,
) -> tuple[bytes, int]:
    """Write the file of an export, and return its SHA-256 and its size.

    Parameters
    ----------
    session
        One read-only, repeatable transaction: every row is of the same moment.

    Raises
    ------
    Conflict
        ``export_block_lost``: a reorg took the block meanwhile. ``token_refused``,
        ``token_read_since``.
    Unavailable
        ``token_catching_up``.
    """
    token, block = _found(session, job)
    sheet = sheet_of(session, job, token, block, checksummed(token.address.hex()))
    rows = stream_rows(session, token, block, checksummed)
    _WRITERS[job.format](sheet, rows, target, advance)
    target.flush()
    target.seek(0)
    digest = hashlib.sha256()
    while chunk := target.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.digest(), target.tell()


def count_holders(session: Session, job: CapTableExport) -> int:
    """Count the rows that `write_export` writes in the same transaction.

    Those of when it was asked for may be others: since then the token may have been read again.

    Raises
    ------
    Conflict, Unavailable
        As `write_export`.
    """
    return count_rows(session, *_found(session, job))


def _found(session: Session, job: CapTableExport) -> tuple[Token, AsOfBlock]:
    """Find the token, and the block on today's chain or on the branch of then."""
    number, digest = job.block_number, job.block_hash
    try:
        block = same_block_at(session, job.chain_id, number, digest, job.known_at)
    except Conflict as lost:
        raise Conflict(
            "export_block_lost",
            f"Block {number} of this export is not on the chain any more.",
            remedy="Ask for a new export, or with known_at for what was known of that block.",
        ) from lost
    token = captable.get_token(session, job.token_address, chain_id=job.chain_id)
    # It may have been read again since it was asked for.
    require_known(session, token, job.known_at, block=number)
    return token, block
