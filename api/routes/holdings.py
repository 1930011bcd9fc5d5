"""/v1/tokens: who moved what, what one wallet held, and how the units are spread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import Query

from api.as_of import SinceParam, read_as_of
from api.auth.access import READERS
from api.deps import ActorDep, ReadSessionDep
from api.routes.router import resource_router
from api.schemas.claims import ClaimChangeRead, ClaimRead
from api.schemas.common import Address, Page, address_of
from api.schemas.holdings import (
    CaseEffectRead,
    ConcentrationRead,
    DatedTransferRead,
    HoldingChangeRead,
    HoldingChangesRead,
    WalletHoldingRead,
)
from api.token_at import PagedDep, ProjectedAt, ProjectedDep
from registry.captable import entries, transfers
from registry.captable.branches import first_known_since
from registry.captable.claims import known_wallets, list_claim_changes
from registry.captable.concentration import HolderKind, concentration_at
from registry.captable.frozen import frozen_whole
from registry.captable.history import HoldingChange, list_changes
from registry.captable.registered import registered_at
from registry.captable.transfers import TransferFilter, TransferNature
from registry.case.effect import effective_days
from registry.investor import service as investors
from registry.investor import wallets
from registry.kernel.actor import Actor
from registry.kernel.errors import NotFound

router = resource_router("holdings")

WalletParam = Annotated[Address | None, Query(description="From or to this address (EIP-55)")]
NaturesParam = Annotated[
    list[TransferNature] | None, Query(alias="nature", description="Any of these; may be repeated")
]
ByParam = Annotated[HolderKind, Query(description="Whose wallets count as one holder")]


@router.get("/tokens/{token_id}/transfers")
def list_transfers(
    at: PagedDep,
    session: ReadSessionDep,
    nature: NaturesParam = None,
    wallet: WalletParam = None,
    since: SinceParam = None,
) -> Page[DatedTransferRead]:
    """List movements up to a block, in the order of the chain."""
    paging = at.paging
    wanted = TransferFilter(
        natures=nature or (),
        wallet=bytes.fromhex(wallet[2:]) if wallet else None,
        since=first_known_since(
            session, at.token.chain_id, read_as_of(since, field="since"), at.block
        ),
        until=at.block,
    )
    rows = transfers.list_transfers(
        session, at.token, wanted, after=paging.after_place, limit=paging.fetch
    )
    days = effective_days(session, {row.case_id for row in rows if row.case_id})
    return paging.page(
        rows,
        lambda row: f"{row.block_number}.{row.log_index}",
        lambda row: DatedTransferRead.dated(row, days),
    )


@router.get("/tokens/{token_id}/concentration")
def get_concentration(
    at: ProjectedDep, session: ReadSessionDep, by: ByParam = HolderKind.WALLET
) -> ConcentrationRead:
    """Read how the units are spread over their holders, at a block."""
    found = concentration_at(session, at.token, at.block, by)
    return ConcentrationRead.of(found, by, at.block_read)


@router.get("/tokens/{token_id}/wallets/{address}")
def get_wallet_holding(
    address: Address, at: ProjectedDep, session: ReadSessionDep, actor: ActorDep
) -> WalletHoldingRead:
    """Read what one wallet held, at a block; an investor asks for their own."""
    wallet = _visible(session, actor, address)
    balance, frozen = entries.holding_known(session, at.token, wallet, at.block)
    known = known_wallets(session, at.token, at.block, [wallet]).get(wallet)
    return WalletHoldingRead(
        wallet=address,
        balance_units=balance,
        frozen_units=frozen,
        wallet_frozen=bool(frozen_whole(session, at.token, at.block, [wallet])),
        identity=address_of(known.identity) if known else None,
        country=known.country if known else None,
        claims=[ClaimRead.of(claim) for claim in known.claims] if known else [],
        as_of_block=at.block_read,
    )


@router.get("/tokens/{token_id}/wallets/{address}/claims")
def list_wallet_claims(
    address: Address,
    at: PagedDep,
    session: ReadSessionDep,
    actor: ActorDep,
) -> Page[ClaimChangeRead]:
    """List every claim and revocation about the identity of one wallet, up to a block."""
    paging = at.paging
    wallet = _visible(session, actor, address)
    registered = registered_at(session, at.token, at.block, [wallet])
    rows = list_claim_changes(
        session,
        at.token.chain_id,
        [each.identity for each in registered.values()],
        at.block,
        after=paging.after_place,
        limit=paging.fetch,
    )
    return paging.page(rows, lambda row: f"{row.block_number}.{row.log_index}", ClaimChangeRead.of)


@router.get("/tokens/{token_id}/wallets/{address}/history")
def list_wallet_history(
    address: Address,
    at: PagedDep,
    session: ReadSessionDep,
    actor: ActorDep,
) -> HoldingChangesRead:
    """List every change of one wallet's holding up to a block; an investor asks for their own."""
    paging = at.paging
    wallet = _visible(session, actor, address)
    after = int(paging.after) if paging.after else None
    rows = list_changes(session, at.token, wallet, until=at.block, after=after, limit=paging.fetch)
    causes = _causes(session, at, wallet, rows)
    page = paging.page(
        rows,
        lambda row: str(row.block_number),
        lambda row: HoldingChangeRead.of(row, causes[row.block_number]),
    )
    return HoldingChangesRead(items=page.items, next=page.next, as_of_block=at.block_read)


def _causes(
    session: ReadSessionDep, at: ProjectedAt, wallet: bytes, rows: Sequence[HoldingChange]
) -> defaultdict[int, list[CaseEffectRead]]:
    """Give the cases behind changes of a holding, by block."""
    causes: defaultdict[int, list[CaseEffectRead]] = defaultdict(list)
    if not rows:
        return causes
    until = replace(at.block, number=rows[-1].block_number)
    found = transfers.list_cases_of(
        session, at.token, wallet, since=rows[0].block_number, until=until
    )
    days = effective_days(session, {case_id for _, case_id in found})
    for number, case_id in found:
        causes[number].append(CaseEffectRead(case_id=case_id, effective_on=days.get(case_id)))
    return causes


def _visible(session: ReadSessionDep, actor: Actor, address: str) -> bytes:
    """Give the wallet, if the caller may know of it: who reads cap tables sees all of them."""
    wallet = bytes.fromhex(address[2:])
    if not actor.roles & READERS:
        known = wallets.find_wallet(session, wallet)
        mine = investors.find_investor_of(session, actor.subject)
        if known is None or mine is None or known.investor_id != mine.id:
            raise NotFound("wallet", address)
    return wallet
