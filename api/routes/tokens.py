"""/v1/tokens: the cap table, now and as of."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from api.as_of import ChainTimeDep
from api.deps import ActorDep, ReadSessionDep, ServicesDep, SessionDep, VaultDep
from api.pagination import Paging, PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page, address_of
from api.schemas.tokens import (
    CapTableRead,
    CapTableRow,
    ControlChangeRead,
    FollowedTokenRead,
    HolderRow,
    HoldersRead,
    ReconciliationRead,
    SupplyRead,
    TokenRead,
)
from api.token_at import ChainIdParam, PagedDep, ProjectedDep, TokenDep, read_chain_id
from registry.captable import control, entries
from registry.captable import service as captable
from registry.captable.claims import known_wallets
from registry.captable.page import list_held
from registry.captable.portfolio import list_followed, subject_of, tokenization_at
from registry.captable.supply import supply_at
from registry.investor.readings import note_reading

router = resource_router("tokens")


@router.get("/followed_tokens")
def list_followed_tokens(
    session: ReadSessionDep,
    services: ServicesDep,
    paging: PagingDep,
    chain_id: ChainIdParam = None,
) -> Page[FollowedTokenRead]:
    """List the tokens that are read of a chain: the platform's own, and those that were adopted."""
    chain = read_chain_id(services.settings, chain_id)
    ours = chain == services.settings.chain_id
    after = int(paging.after) if paging.after else None
    rows = list_followed(session, chain, ours=ours, after=after, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.token.token_no), FollowedTokenRead.of)


@router.get("/tokens/{token_id}")
def get_token(at: TokenDep, session: ReadSessionDep) -> TokenRead:
    """Read a token at a block; its id is that of its tokenization."""
    row, token = at.tokenization, at.token
    return TokenRead(
        id=row.id,
        symbol=row.symbol,
        name=row.name,
        chain=f"eip155:{token.chain_id}",
        address=address_of(token.address),
        identity_registry=address_of(token.identity_registry),
        compliance=address_of(token.compliance),
        declared_fractions=row.declared_fractions,
        supply_units=supply_at(session, token, at.block),
        paused=captable.is_paused_at(session, token, at.block),
        state=row.state,
        as_of_block=at.block_read,
    )


@router.get("/tokens/{token_id}/supply")
def get_token_supply(at: TokenDep, session: ReadSessionDep) -> SupplyRead:
    """Read how many fractions existed at a block."""
    return SupplyRead(
        declared_fractions=at.tokenization.declared_fractions,
        supply_units=supply_at(session, at.token, at.block),
        as_of_block=at.block_read,
    )


@router.get("/tokens/{token_id}/cap_table")
def get_cap_table(at: PagedDep, session: ReadSessionDep) -> CapTableRead:
    """Read who holds how much, at a block; of a token on another chain by its address."""
    paging = at.paging
    rows = list_held(session, at.token, at.block, after=_after(paging), limit=paging.fetch)
    supply = supply_at(session, at.token, at.block)
    chain_id = at.token.chain_id
    page = paging.page(
        rows,
        lambda row: row.address.hex(),
        lambda row: CapTableRow.of(row, chain_id=chain_id, supply=supply),
    )
    return CapTableRead(
        items=page.items, next=page.next, supply_units=supply, as_of_block=at.block_read
    )


def _after(paging: Paging) -> bytes | None:
    return bytes.fromhex(paging.after) if paging.after else None


Purpose = Annotated[str, Query(min_length=3, max_length=500, description="Why you look")]
LegalBasis = Annotated[str, Query(min_length=3, max_length=500, description="What lets you")]


@router.get("/tokens/{token_id}/holders")
def list_holders(
    at: PagedDep,
    session: ReadSessionDep,
    writing: SessionDep,
    vault: VaultDep,
    actor: ActorDep,
    purpose: Purpose,
    legal_basis: LegalBasis,
) -> HoldersRead:
    """Read who the holders are; every reading is journalled with its purpose."""
    paging = at.paging
    rows = entries.list_holders(
        session, at.token, at.block, after=_after(paging), limit=paging.fetch
    )
    supply = supply_at(session, at.token, at.block)
    known = known_wallets(session, at.token, at.block, [row.address for row in rows])
    chain_id = at.token.chain_id
    tokenization = tokenization_at(session, chain_id, at.token.address)
    page = paging.page(
        rows,
        lambda row: row.address.hex(),
        lambda row: HolderRow.of_person(
            vault, row, known.get(row.address), chain_id=chain_id, supply=supply
        ),
    )
    note_reading(
        writing,
        actor,
        subject_of(at.token, tokenization.id if tokenization else None),
        {"purpose": purpose, "legal_basis": legal_basis},
        rows=len(page.items),
        parties={row.party_id for row in page.items if row.party_id is not None},
        chain_id=chain_id,
        block=at.block.number,
    )
    return HoldersRead(
        items=page.items, next=page.next, supply_units=supply, as_of_block=at.block_read
    )


@router.get("/tokens/{token_id}/control_changes")
def list_control_changes(at: PagedDep, session: ReadSessionDep) -> Page[ControlChangeRead]:
    """List owners, agents, rule modules, registries and pauses as they changed, up to a block."""
    paging = at.paging
    rows = control.list_control_changes(
        session, at.token, at.block, after=paging.after_place, limit=paging.fetch
    )
    return paging.page(
        rows, lambda row: f"{row.block_number}.{row.log_index}", ControlChangeRead.of
    )


@router.get("/tokens/{token_id}/reconciliations")
def list_reconciliations(
    at: ProjectedDep, session: ReadSessionDep, when: ChainTimeDep
) -> list[ReconciliationRead]:
    """List the proofs up to a block that cap table and chain agree, newest first.

    With `known_at` those that were made by then. A proof at a block that a reorg took is not kept.
    """
    rows = captable.list_reconciliations(
        session, at.token, until=at.block.kept, known_at=when.known_at, limit=100
    )
    return [ReconciliationRead.of(row) for row in rows]
