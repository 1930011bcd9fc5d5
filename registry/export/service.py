"""Use cases on exports of cap tables: ask for one, see how far it is, take the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.models import ChainBlock, Token
from registry.document.content import open_sealed
from registry.document.store import DocumentStore
from registry.export.models import CapTableExport, ExportFormat, ExportState
from registry.export.sheet import Sheet, count_rows
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict
from registry.kernel.rows import get_row, page_after
from registry.kernel.vault import Vault
from registry.party import service as parties
from registry.tokenization.models import Tokenization
from registry.wrapper import service as wrappers


def open_export(
    session: Session,
    actor: Actor,
    tokenization: Tokenization,
    block: AsOfBlock,
    file_format: ExportFormat,
) -> CapTableExport:
    """Ask for the cap table of a token at a block, as a file; a worker takes it up."""
    job = new_export(session, actor.subject, tokenization, block, file_format)
    session.add(job)
    session.flush()
    journal.record(
        session,
        actor,
        "export_opened",
        "tokenization",
        tokenization.id,
        export_id=str(job.id),
        format=file_format,
        block=block.number,
    )
    return job


def new_export(
    session: Session,
    maker: str,
    tokenization: Tokenization,
    block: AsOfBlock,
    file_format: ExportFormat,
) -> CapTableExport:
    """Make an export that is not recorded anywhere yet."""
    token = token_of(session, tokenization)
    return CapTableExport(
        maker=maker,
        tokenization_id=tokenization.id,
        format=file_format,
        chain_id=token.chain_id,
        block_number=block.number,
        block_hash=block.hash,
        mined_at=block.mined_at,
        total=count_rows(session, token, block.number),
    )


def get_export(session: Session, export_id: UUID, *, lock: bool = False) -> CapTableExport:
    """Return an export.

    Raises
    ------
    NotFound
    """
    return get_row(session, CapTableExport, export_id, kind="export", lock=lock)


def list_exports(
    session: Session, tokenization_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[CapTableExport]:
    """List the exports of a token in the order in which they were asked for."""
    query = select(CapTableExport).where(col(CapTableExport.tokenization_id) == tokenization_id)
    return session.exec(page_after(query, col(CapTableExport.id), after=after, limit=limit)).all()


def block_of(session: Session, job: CapTableExport) -> AsOfBlock:
    """Return the block of an export, and whether a reorg has taken it since."""
    block = session.get(ChainBlock, (job.chain_id, job.block_number))
    cursor = captable.sync_state(session, job.chain_id)
    return AsOfBlock(
        job.block_number,
        job.block_hash,
        job.mined_at,
        max(cursor.head_number - job.block_number, 0),
        is_orphaned=block is None or block.hash != job.block_hash,
        degraded=cursor.degraded,
    )


def open_file(vault: Vault, store: DocumentStore, job: CapTableExport) -> Iterator[bytes]:
    """Open the file of an export and yield it; it is whole and unaltered before this returns.

    Raises
    ------
    Conflict
        ``export_not_ready``, ``export_failed`` or ``export_expired``.
    """
    if job.state == ExportState.EXPIRED:
        raise Conflict(
            "export_expired",
            "The file of this export is gone.",
            remedy="Ask for a new one as of the same block: its figures are the same.",
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
    assert job.stored_as is not None
    assert job.sealed is not None
    return open_sealed(vault, store, job.id, job.stored_as, job.sealed)


def token_of(session: Session, tokenization: Tokenization) -> Token:
    """Return the projected token of a tokenization that is deployed."""
    assert tokenization.token_address is not None, "only a deployed token has a cap table"
    return captable.get_token(session, tokenization.token_address)


def sheet_of(session: Session, job: CapTableExport, address: str) -> Sheet:
    """Say what an export says of its token, its issuer and its block.

    Parameters
    ----------
    address
        Of the token, as EIP-55 writes it.
    """
    tokenization = session.get_one(Tokenization, job.tokenization_id)
    wrapper = wrappers.find_wrapper(session, tokenization.asset_id)
    assert wrapper is not None, "no token without the vehicle that holds its asset"
    issuer = parties.get_party(session, wrapper.party_id)
    assert issuer.name is not None, "a wrapper is a company"
    block = AsOfBlock(job.block_number, job.block_hash, job.mined_at, 0)
    return Sheet(
        token_id=tokenization.id,
        symbol=tokenization.symbol,
        name=tokenization.name,
        address=address,
        chain_id=job.chain_id,
        block_number=job.block_number,
        block_hash=f"0x{job.block_hash.hex()}",
        mined_at=job.mined_at,
        supply_units=captable.supply_at(session, token_of(session, tokenization), block),
        declared_fractions=tokenization.declared_fractions,
        price_paisa=tokenization.price_paisa,
        issuer_id=issuer.id,
        issuer_name=issuer.name,
        issuer_country=issuer.residence_country,
        issuer_since=wrapper.recorded_at.date(),
        generated_at=job.recorded_at,
    )
