"""Whether a certificate still holds: asked of the register and the projected chain each time.

Told is what ended it first, by what, and since when; nothing of that names a person, a sum, or a
wallet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.dialects.postgresql import array
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select, SelectOfScalar

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.captable import entries, portfolio
from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.models import ChainBlock, Token
from registry.certificate.content import terms_of
from registry.certificate.models import Certificate, CertificateKind
from registry.encumbrance import service as encumbrances
from registry.investor import service as investors
from registry.investor.models import Wallet
from registry.journal.models import JournalEntry
from registry.story.ground import PUBLIC_PLACES
from registry.title import service as titles
from registry.title.models import Title, TitleVersion
from registry.title.versions import current_version, ownership_of
from registry.tokenization import service as tokenizations


class CertificateState(StrEnum):
    """`UNCERTAIN`: of a holding, while what is known of the chain is not to be relied on."""

    VALID = "VALID"
    UNCERTAIN = "UNCERTAIN"
    SUPERSEDED = "SUPERSEDED"
    REVOKED = "REVOKED"


class Cause(StrEnum):
    """What ended a certificate."""

    TITLE_VERSION = "TITLE_VERSION"
    TITLE_STATE = "TITLE_STATE"
    ASSET_STATE = "ASSET_STATE"
    ASSET_AMENDED = "ASSET_AMENDED"
    NAME_AMENDED = "NAME_AMENDED"
    ENCUMBRANCE_ADDED = "ENCUMBRANCE_ADDED"
    ENCUMBRANCE_ENDED = "ENCUMBRANCE_ENDED"
    ENCUMBRANCE_VARIED = "ENCUMBRANCE_VARIED"
    BALANCE = "BALANCE"
    BLOCK_LOST = "BLOCK_LOST"
    REVOKED = "REVOKED"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a certificate does not know of.

    Parameters
    ----------
    at
        Since when; None where the register does not say.
    by
        By which later version, state or block.
    """

    cause: Cause
    at: datetime | None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a certificate stands now.

    Parameters
    ----------
    changes
        The earliest first.
    block
        The newest that was looked at, of a holding.
    """

    state: CertificateState
    changes: tuple[Change, ...] = ()
    block: AsOfBlock | None = None


def standing_of(session: Session, certificate: Certificate) -> Standing:
    """Tell whether a certificate is still what the register says."""
    block = None
    if certificate.revoked_at is not None:
        revoked = Change(Cause.REVOKED, certificate.revoked_at)
        return Standing(CertificateState.REVOKED, (revoked,))
    found = list(_of_title(session, certificate))
    if certificate.kind is CertificateKind.TITLE:
        found += _of_encumbrances(session, certificate)
    else:
        assert certificate.chain_id is not None
        block = captable.block_at(session, certificate.chain_id, None)
        found += _of_holding(session, certificate, block)
    ordered = tuple(sorted(found, key=lambda change: (change.at is None, change.at)))
    if block is not None and block.degraded is not None:
        return Standing(CertificateState.UNCERTAIN, ordered, block)
    state = CertificateState.SUPERSEDED if found else CertificateState.VALID
    return Standing(state, ordered, block)


def _of_title(session: Session, certificate: Certificate) -> Iterator[Change]:
    title = titles.get_title(session, certificate.title_id)
    issued_on = session.get_one(TitleVersion, certificate.title_version_id)
    version = current_version(session, title.id)
    if version.id != issued_on.id:
        yield Change(Cause.TITLE_VERSION, issued_on.superseded_at, str(version.seq))
    asset = assets.get_asset(session, certificate.asset_id)
    yield from _of_state(session, certificate, Cause.TITLE_STATE, "title", title)
    yield from _of_state(session, certificate, Cause.ASSET_STATE, "asset", asset)
    acts = _acts(str(asset.id), certificate.recorded_at).where(
        col(JournalEntry.act) == "asset_amend_approve",
        col(JournalEntry.facts)["changed"].has_any(array(_PRINTED)),
    )
    amended = session.exec(acts.order_by(col(JournalEntry.id)).limit(1)).first()
    if amended is not None:
        yield Change(Cause.ASSET_AMENDED, amended)
    yield from _of_names(session, certificate, issued_on)


_PRINTED = ("title_regime", *(f"location/{name}" for name in PUBLIC_PLACES))
"""What certificates say of an asset, as an amendment names it; class and code are for good."""


def _of_names(
    session: Session, certificate: Certificate, issued_on: TitleVersion
) -> Iterator[Change]:
    """Tell whether somebody who is named was renamed: by the act, for persons' names are sealed."""
    if certificate.investor_id is not None:
        named = [investors.get_investor(session, certificate.investor_id).party_id]
    else:
        named = [share.party_id for share in ownership_of(session, issued_on).shares]
    acts = select(JournalEntry.recorded_at).where(
        col(JournalEntry.subject_id).in_([str(party_id) for party_id in named]),
        col(JournalEntry.act) == "party_amended",
        col(JournalEntry.facts)["fields"].has_any(array(("name", "name_ur"))),
        col(JournalEntry.recorded_at) >= certificate.recorded_at,
    )
    renamed = session.exec(acts.order_by(col(JournalEntry.id)).limit(1)).first()
    if renamed is not None:
        yield Change(Cause.NAME_AMENDED, renamed)


def _of_state(
    session: Session, certificate: Certificate, cause: Cause, kind: str, record: Title | Asset
) -> Iterator[Change]:
    acts, issued_at = _acts_of_state(kind, record), certificate.recorded_at
    told = certificate.told.get(f"{kind}_state")
    if told is None:
        # The first certificates kept no state beside their content, which is sealed: the act that
        # led to it says the same. What no act tells of is not vouched for.
        earlier = acts.where(col(JournalEntry.recorded_at) < issued_at)
        newest = session.exec(earlier.order_by(col(JournalEntry.id).desc()).limit(1)).first()
        told = newest[1] if newest else None
    if record.state.value == told:
        return
    later = acts.where(col(JournalEntry.recorded_at) >= issued_at)
    changed = session.exec(later.order_by(col(JournalEntry.id)).limit(1)).first()
    yield Change(cause, changed[0] if changed else None, record.state.value)


def _acts_of_state(kind: str, record: Title | Asset) -> Select[datetime, Any]:
    """Select when a record was given which state."""
    state = col(JournalEntry.facts)["state"].astext
    return select(JournalEntry.recorded_at, state).where(
        col(JournalEntry.subject_id) == str(record.id),
        col(JournalEntry.subject_kind) == kind,
        state.is_not(None),
    )


def _of_encumbrances(session: Session, certificate: Certificate) -> Iterator[Change]:
    told: Mapping[str, list[Any]] = certificate.told["encumbrances"]
    there = {
        str(item.id): terms_of(item, effect)
        for item, effect in encumbrances.list_binding(session, certificate.title_id)
    }
    since = certificate.recorded_at
    for found in sorted(there.keys() | told.keys()):
        if there.get(found) == told.get(found):
            continue
        cause = Cause.ENCUMBRANCE_VARIED
        if found not in told:
            cause = Cause.ENCUMBRANCE_ADDED
        elif found not in there:
            cause = Cause.ENCUMBRANCE_ENDED
        yield Change(cause, _last_act(session, found, since))


def _last_act(session: Session, subject_id: str, since: datetime) -> datetime | None:
    newest = _acts(subject_id, since).order_by(col(JournalEntry.id).desc()).limit(1)
    return session.exec(newest).first()


def _acts(subject_id: str, since: datetime) -> SelectOfScalar[datetime]:
    return select(JournalEntry.recorded_at).where(
        col(JournalEntry.subject_id) == subject_id, col(JournalEntry.recorded_at) >= since
    )


def _of_holding(session: Session, certificate: Certificate, until: AsOfBlock) -> Iterator[Change]:
    chain_id, number = certificate.chain_id, certificate.block_number
    assert chain_id is not None
    assert number is not None
    assert certificate.tokenization_id is not None
    block = session.get(ChainBlock, (chain_id, number))
    if block is None or block.hash != certificate.block_hash:
        yield Change(Cause.BLOCK_LOST, None, str(number))
    tokenization = tokenizations.get_deployed(session, certificate.tokenization_id)
    assert tokenization.token_address is not None
    token = captable.get_token(session, tokenization.token_address, chain_id=chain_id)
    for address, told in certificate.told["wallets"].items():
        wallet = bytes.fromhex(address)
        found = _first_change(session, token, wallet, told, number, until)
        # The first certificates said nothing of wallets that are frozen whole.
        was_told = told[2:] == [True]
        if portfolio.is_frozen(session, token, wallet, at_block=number) != was_told:
            found = (number, block.mined_at if block is not None else None)
        if found is not None:
            yield Change(Cause.BALANCE, found[1], str(found[0]))
    yield from _of_other_wallets(session, certificate, token, until)


def _of_other_wallets(
    session: Session, certificate: Certificate, token: Token, until: AsOfBlock
) -> Iterator[Change]:
    """Tell what came into wallets of the holder that had nothing, and what those hold since proven.

    A certificate tells what somebody holds in all of theirs.
    """
    number = certificate.block_number
    assert number is not None
    others = select(Wallet).where(
        col(Wallet.investor_id) == certificate.investor_id,
        col(Wallet.address).not_in([bytes.fromhex(each) for each in certificate.told["wallets"]]),
    )
    for wallet in session.exec(others).all():
        held, _ = entries.holding_at(session, token, wallet.address, number)
        if held:
            yield Change(Cause.BALANCE, wallet.proven_at)
            continue
        # Whether one that holds nothing is frozen, no certificate says.
        filled = entries.first_change(
            session, token, wallet.address, (0, 0), since=number, until=until.number
        )
        if filled is not None:
            yield Change(Cause.BALANCE, filled[1], str(filled[0]))


def _first_change(  # noqa: PLR0917
    session: Session, token: Token, wallet: bytes, told: list[Any], since: int, until: AsOfBlock
) -> tuple[int, datetime | None] | None:
    """Return number and time of the first block that moved, froze or freed any of a wallet."""
    held = int(told[0]), int(told[1])
    moved = entries.first_change(session, token, wallet, held, since=since, until=until.number)
    found: list[tuple[int, datetime | None]] = [] if moved is None else [moved]
    frozen = portfolio.first_freeze(session, token, wallet, since=since, until=until.number)
    if frozen is not None:
        found.append((frozen.number, frozen.mined_at))
    return min(found, default=None)
