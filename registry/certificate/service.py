"""Issuing certificates, reading one's own, and revoking one that should not have been issued."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.captable import entries, portfolio
from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.models import Token
from registry.certificate.content import (
    Content,
    Head,
    Held,
    WriteAddress,
    holding_content,
    title_content,
    told_of_holding,
    told_of_title,
)
from registry.certificate.models import Certificate, CertificateKind
from registry.encumbrance import service as encumbrances
from registry.investor import service as investors
from registry.investor.models import Investor, Wallet
from registry.investor.readings import note_reading
from registry.journal import service as journal
from registry.kernel.actor import Actor, Role
from registry.kernel.canonical import record_hash
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, NotFound, Unavailable
from registry.kernel.ids import new_id
from registry.kernel.rows import get_row, hold_rows, page_after
from registry.kernel.vault import Vault
from registry.party import service as parties
from registry.party.models import Party
from registry.title import service as titles
from registry.title.models import TitleState, TitleVersion
from registry.title.versions import current_version, ownership_of
from registry.tokenization import service as tokenizations

ISSUED = "certificate_issued"
"""The act of the journal whose facts carry the hash of a certificate's content."""
SUBJECT = "certificate"

TITLE_ISSUERS = (
    Role.REGISTRAR_MAKER,
    Role.REGISTRAR_CHECKER,
    Role.COMPLIANCE,
    Role.REGULATOR,
)
IN_FORCE = (TitleState.ACTIVE, TitleState.MUTATION_PENDING, TitleState.DISPUTED)
"""Titles that the register vouches for; of a dispute, or a suspension, its certificate tells."""


def issue_title(
    session: Session, vault: Vault, actor: Actor, title_id: UUID, *, purpose: str, legal_basis: str
) -> Certificate:
    """Certify a title as it stands now; it names its owners, so that is a reading of their data.

    Raises
    ------
    Forbidden
        ``certificate_not_allowed``.
    Conflict
        ``title_not_in_force``.
    NotFound
    """
    if not actor.has(*TITLE_ISSUERS):
        raise Forbidden(
            "certificate_not_allowed",
            "A title is certified by registrars, compliance and the regulator.",
        )
    title = titles.get_title(session, title_id)
    asset = assets.get_asset(session, title.asset_id, lock=True)
    session.refresh(title)
    if title.state not in IN_FORCE:
        raise Conflict("title_not_in_force", f"The title is {title.state}: it gives no right.")
    version = current_version(session, title.id)
    shares = ownership_of(session, version).shares
    # What certificates print is held: whatever changes it later is told by an act of later.
    hold_rows(session, Party, [share.party_id for share in shares])
    for share in shares:
        journal.record(
            session, actor, "personal_data_read", "party", share.party_id,
            purpose=purpose, legal_basis=legal_basis,
        )  # fmt: skip
    bindings = encumbrances.list_binding(session, title.id)
    head = Head(certificate_id=new_id(), issued_at=now(), asset=asset, title=title, version=version)
    content = title_content(session, vault, head, bindings)
    return _issue(
        session, vault, actor, head, content,
        kind=CertificateKind.TITLE, told=told_of_title(head, bindings),
        why={"purpose": purpose, "legal_basis": legal_basis},
    )  # fmt: skip


def issue_holding(
    session: Session,
    vault: Vault,
    actor: Actor,
    token_id: UUID,
    *,
    chain_id: int,
    needed: int,
    write_address: WriteAddress,
) -> Certificate:
    """Certify what the caller holds of a token, at the newest final block that is projected.

    Parameters
    ----------
    needed
        Confirmations of a final block.

    Raises
    ------
    Conflict
        ``holding_empty``.
    Unavailable
        ``no_final_block``, ``token_catching_up``, ``cap_table_degraded``, ``sync_not_started``.
    NotFound
        The caller is no investor, or there is no such token.
    """
    investor = investors.get_investor_of(session, actor.subject)
    tokenization = tokenizations.get_deployed(session, token_id)
    block = _final_block(session, chain_id, needed)
    assert tokenization.token_address is not None
    token = captable.get_token(session, tokenization.token_address, chain_id=chain_id)
    held = [
        each
        for wallet in _wallets(session, investor)
        for each in [_held_at(session, token, wallet, block.number)]
        if each.balance_units
    ]
    if not held:
        raise Conflict(
            "holding_empty",
            f"You held nothing of {tokenization.symbol} at block {block.number}, the newest final.",
            remedy="After a purchase, wait until its block is final.",
        )
    hold_rows(session, Asset, [tokenization.asset_id])
    hold_rows(session, Party, [investor.party_id])
    asset = assets.get_asset(session, tokenization.asset_id)
    title = titles.title_of_asset(session, asset.id)
    session.refresh(title)
    version = current_version(session, title.id)
    head = Head(certificate_id=new_id(), issued_at=now(), asset=asset, title=title, version=version)
    content = holding_content(
        vault, head, holder=parties.get_party(session, investor.party_id),
        tokenization=tokenization, chain_id=chain_id, block=block, held=held,
        write_address=write_address,
    )  # fmt: skip
    return _issue(
        session, vault, actor, head, content,
        kind=CertificateKind.HOLDING, told=told_of_holding(head, held),
        tokenization_id=tokenization.id, investor_id=investor.id,
        chain_id=chain_id, block_number=block.number, block_hash=block.hash,
    )  # fmt: skip


def _held_at(session: Session, token: Token, wallet: bytes, number: int) -> Held:
    units = entries.holding_at(session, token, wallet, number)
    return Held(wallet, *units, portfolio.is_frozen(session, token, wallet, at_block=number))


def _wallets(session: Session, investor: Investor) -> Sequence[bytes]:
    return session.exec(
        select(Wallet.address)
        .where(col(Wallet.investor_id) == investor.id)
        .order_by(col(Wallet.id))
    ).all()


def _final_block(session: Session, chain_id: int, needed: int) -> AsOfBlock:
    cursor = captable.sync_state(session, chain_id)
    if cursor.degraded is not None:
        raise Unavailable(
            "cap_table_degraded",
            f"What is known of the chain is not to be relied on: {cursor.degraded}.",
            remedy="Try again when the cap table is proven again; see /readyz.",
        )
    final = min(cursor.number, cursor.head_number - needed)
    if final < 0:
        raise Unavailable("no_final_block", "No block that was read is final yet; try again soon.")
    try:
        return captable.block_at(session, chain_id, final)
    except NotFound as error:
        raise Unavailable(
            "no_final_block", "No block that was read is final yet; try again soon."
        ) from error


def _issue(  # noqa: PLR0917
    session: Session,
    vault: Vault,
    actor: Actor,
    head: Head,
    content: Content,
    why: Mapping[str, str] | None = None,
    **more: Any,
) -> Certificate:
    digest = record_hash(content)
    certificate = Certificate(
        id=head.certificate_id,
        recorded_at=head.issued_at,
        asset_id=head.asset.id,
        title_id=head.title.id,
        title_version_id=head.version.id,
        content_sha256=digest,
        sealed=vault.seal(json.dumps(content)),
        sealed_with=vault.key_id,
        issued_by=actor.subject,
        **more,
    )
    session.add(certificate)
    session.flush()
    journal.record(
        session, actor, ISSUED, SUBJECT, certificate.id,
        kind=certificate.kind.value, content_sha256=digest.hex(), **(why or {}),
    )  # fmt: skip
    return certificate


def content_of(vault: Vault, certificate: Certificate) -> Content:
    """Open what a certificate says.

    Raises
    ------
    Conflict
        ``certificate_altered``: it is not what was issued; an alarm.
    SealBroken
    """
    content = _read(vault.unseal(certificate.sealed))
    if content is None or _hash_of(content) != certificate.content_sha256:
        raise Conflict(
            "certificate_altered",
            f"What is kept of certificate {certificate.id} is not what was issued.",
            remedy="Run milkiyat audit.",
        )
    return content


def _read(said: str) -> Content | None:
    """Read what was sealed of a certificate; None of what opens, but was sealed as something else.

    It may have been moved here from another column: then it is no certificate at all.
    """
    try:
        content: object = json.loads(said)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _hash_of(content: Content) -> bytes | None:
    """Return the hash of a content; None where it holds a number that none of ours does."""
    try:
        return record_hash(content)
    except ValueError:
        return None


def note_taking(session: Session, actor: Actor, certificate: Certificate) -> None:
    """Note that a certificate of a title is taken: it names the owners, for the purpose of then."""
    if certificate.kind != CertificateKind.TITLE:
        return
    version = session.get_one(TitleVersion, certificate.title_version_id)
    shares = ownership_of(session, version).shares
    note_reading(
        session, actor, (SUBJECT, certificate.id), _reasons_of(session, certificate),
        rows=1, parties=[share.party_id for share in shares],
    )  # fmt: skip


def _reasons_of(session: Session, certificate: Certificate) -> dict[str, str]:
    entries = journal.list_entries(session, subject_id=str(certificate.id), after=None, limit=1)
    return {
        name: entry.facts[name]
        for entry in entries
        for name in ("purpose", "legal_basis")
        if name in entry.facts
    }


def find_certificate(session: Session, certificate_id: UUID) -> Certificate | None:
    return session.get(Certificate, certificate_id)


def get_own(session: Session, actor: Actor, certificate_id: UUID) -> Certificate:
    """Return a certificate to whom it was issued: it was their purpose, or is their holding.

    Raises
    ------
    NotFound
    """
    certificate = session.get(Certificate, certificate_id)
    if certificate is None or certificate.issued_by != actor.subject:
        raise NotFound(SUBJECT, certificate_id)
    return certificate


def list_own(
    session: Session, actor: Actor, *, after: UUID | None, limit: int
) -> Sequence[Certificate]:
    """List what was issued to the caller, oldest first."""
    query = select(Certificate).where(col(Certificate.issued_by) == actor.subject)
    return session.exec(page_after(query, col(Certificate.id), after=after, limit=limit)).all()


def revoke(session: Session, actor: Actor, certificate_id: UUID, *, reason: str) -> Certificate:
    """Revoke a certificate that should not have been issued; it is never valid again.

    Raises
    ------
    Conflict
        ``certificate_revoked``.
    NotFound
    """
    certificate = get_row(session, Certificate, certificate_id, kind=SUBJECT, lock=True)
    if certificate.revoked_at is not None:
        raise Conflict("certificate_revoked", "The certificate is revoked already.")
    certificate.revoked_at, certificate.revoked_by = now(), actor.subject
    session.add(certificate)
    session.flush()
    journal.record(session, actor, "certificate_revoked", SUBJECT, certificate.id, reason=reason)
    return certificate
