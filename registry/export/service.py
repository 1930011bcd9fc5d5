"""Use cases on exports of cap tables: ask for one, see how far it is, take the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.degraded import doubt_of
from registry.captable.models import ChainBlock, Token
from registry.captable.portfolio import subject_of, tokenization_at
from registry.captable.readings import is_read_again_since, require_known
from registry.document.content import open_sealed
from registry.document.store import DocumentStore
from registry.export.models import CapTableExport, ExportFormat, ExportState
from registry.export.sheet import count_rows
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict
from registry.kernel.rows import get_row, page_after
from registry.kernel.vault import Vault


def open_export(
    session: Session,
    actor: Actor,
    token: Token,
    block: AsOfBlock,
    file_format: ExportFormat,
    *,
    known_at: datetime | None = None,
) -> CapTableExport:
    """Ask for the cap table of a token at a block, as a file; a worker takes it up.

    Parameters
    ----------
    block, known_at
        On the branch that was known then; None for today's.

    Raises
    ------
    Conflict
        ``token_read_since``.
    """
    job = new_export(session, actor.subject, token, block, file_format, known_at=known_at)
    session.add(job)
    session.flush()
    journal.record(
        session,
        actor,
        "export_opened",
        *subject_of(token, job.tokenization_id),
        export_id=str(job.id),
        format=file_format,
        chain_id=token.chain_id,
        block=block.number,
        **({} if known_at is None else {"known_at": known_at.isoformat()}),
    )
    return job


def new_export(
    session: Session,
    maker: str,
    token: Token,
    block: AsOfBlock,
    file_format: ExportFormat,
    *,
    known_at: datetime | None = None,
) -> CapTableExport:
    """Make an export that is not recorded anywhere yet.

    Raises
    ------
    Conflict
        ``token_read_since``.
    """
    require_known(session, token, known_at, block=block.number)
    tokenization = tokenization_at(session, token.chain_id, token.address)
    return CapTableExport(
        maker=maker,
        tokenization_id=tokenization.id if tokenization else None,
        token_address=token.address,
        format=file_format,
        chain_id=token.chain_id,
        block_number=block.number,
        block_hash=block.hash,
        mined_at=block.mined_at,
        known_at=known_at,
        total=count_rows(session, token, block),
    )


def get_export(session: Session, export_id: UUID, *, lock: bool = False) -> CapTableExport:
    """Return an export.

    Raises
    ------
    NotFound
    """
    return get_row(session, CapTableExport, export_id, kind="export", lock=lock)


def list_exports(
    session: Session, token: Token, *, after: UUID | None, limit: int
) -> Sequence[CapTableExport]:
    """List the exports of a token in the order in which they were asked for."""
    query = select(CapTableExport).where(
        col(CapTableExport.chain_id) == token.chain_id,
        col(CapTableExport.token_address) == token.address,
    )
    return session.exec(page_after(query, col(CapTableExport.id), after=after, limit=limit)).all()


def block_of(session: Session, job: CapTableExport) -> AsOfBlock:
    """Return the block of an export, whether a reorg has taken it since, and what is in doubt."""
    block = session.get(ChainBlock, (job.chain_id, job.block_number))
    cursor = captable.sync_state(session, job.chain_id)
    token = captable.find_token(session, job.token_address, chain_id=job.chain_id)
    doubt = doubt_of(session, token) if token is not None else None
    return AsOfBlock(
        job.block_number,
        job.block_hash,
        job.mined_at,
        max(cursor.head_number - job.block_number, 0),
        is_orphaned=block is None or block.hash != job.block_hash,
        degraded=_spoilt(session, token, job) or cursor.degraded or doubt,
    )


def _spoilt(session: Session, token: Token | None, job: CapTableExport) -> str | None:
    """Say why the file of an export may be wrong, though block and hash are those of the chain."""
    if token is None or job.sha256 is None:
        return None
    assert job.started_at is not None, "an export that is written was begun"
    if not is_read_again_since(session, token, job.started_at):
        return None
    return (
        "The token was repaired and read again since this export was written: its figures may be "
        "wrong."
    )


def open_file(
    session: Session, vault: Vault, store: DocumentStore, job: CapTableExport
) -> Iterator[bytes]:
    """Open the file of an export and yield it; it is whole and unaltered before this returns.

    Raises
    ------
    Conflict
        ``export_not_ready``, ``export_failed``, ``export_expired`` or ``export_read_since``.
    """
    if job.state == ExportState.EXPIRED:
        raise Conflict(
            "export_expired",
            "The file of this export is gone.",
            remedy="Ask for a new one as of the same block and known_at: its figures are the same.",
        )
    if job.state == ExportState.FAILED:
        raise Conflict(
            "export_failed", "This export failed; `problem` says why.", remedy="Ask for a new one."
        )
    if job.state != ExportState.DONE:
        raise Conflict(
            "export_not_ready",
            f"{job.done} of {job.total} rows are written.",
            remedy="Look at the export until its state is DONE.",
        )
    token = captable.find_token(session, job.token_address, chain_id=job.chain_id)
    if (spoilt := _spoilt(session, token, job)) is not None:
        raise Conflict(
            "export_read_since",
            spoilt,
            remedy="Ask for a new one as of the same block, without known_at.",
        )
    assert job.stored_as is not None
    assert job.sealed is not None
    return open_sealed(vault, store, job.id, job.stored_as, job.sealed)
