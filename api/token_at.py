"""A token at a block: what every route below /v1/tokens/{token_id} looks at.

The platform's own tokens are known by the ids of their tokenizations. A token that was adopted,
on the platform's chain or on one of FOLLOWED_CHAINS, has none, and is known by its address.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from sqlmodel import Session

from api.as_of import AsOfParam, ChainTime, ChainTimeDep, KnownAtParam, get_chain_time
from api.deps import FinalityDep, ReadSessionDep, Services, ServicesDep, services_of
from api.handlers import Later
from api.pagination import (
    DEFAULT_LIMIT,
    CursorParam,
    LimitParam,
    PageBlock,
    Paging,
    get_paging,
)
from api.schemas.common import Address, AsOfBlockRead
from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.branches import known_block_at, same_block_at
from registry.captable.degraded import doubt_of
from registry.captable.models import Token
from registry.captable.readings import require_known, times_read_again_below
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.kernel.settings import Settings
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization


@dataclass(frozen=True, slots=True)
class ProjectedAt:
    """Any token that is projected, and the block at which it is looked at."""

    token: Token
    block: AsOfBlock
    block_read: AsOfBlockRead


@dataclass(frozen=True, slots=True)
class PagedAt(ProjectedAt):
    """The same, for a list of which all pages are of the block of the first."""

    paging: Paging


@dataclass(frozen=True, slots=True)
class TokenAt(ProjectedAt):
    """A token of the platform, and the block at which it is looked at."""

    tokenization: Tokenization


async def get_token_at(
    token_id: UUID,
    needed: FinalityDep,
    session: ReadSessionDep,
    services: ServicesDep,
    when: ChainTimeDep,
) -> Later[TokenAt]:
    """Find the token of the path at the block of `as_of`, as it was known at `known_at`."""

    def find() -> TokenAt:
        tokenization = tokenizations.get_deployed(session, token_id)
        assert tokenization.token_address is not None
        chain_id = services.settings.chain_id
        block = known_block_at(session, chain_id, when.as_of, when.known_at)
        token = captable.get_token(session, tokenization.token_address, chain_id=chain_id)
        require_known(session, token, when.known_at, block=block.number)
        return TokenAt(token, block, AsOfBlockRead.of(block, needed), tokenization)

    return Later(session, find)


ChainIdParam = Annotated[
    int | None,
    Query(
        ge=1,
        le=2**53 - 1,
        description="Of FOLLOWED_CHAINS; without it, the platform's own chain",
    ),
]


def read_chain_id(settings: Settings, chain_id: int | None) -> int:
    """Return the chain that is asked for.

    Raises
    ------
    Invalid
        ``chain_not_followed``.
    """
    followed = [settings.chain_id, *(other.chain_id for other in settings.followed_chains)]
    if chain_id is None:
        return settings.chain_id
    if chain_id not in followed:
        raise Invalid(
            "chain_not_followed",
            f"Chain {chain_id} is not read here.",
            field="chain_id",
            remedy=f"Name one of {', '.join(map(str, followed))}, or have it added to "
            "FOLLOWED_CHAINS.",
        )
    return chain_id


@dataclass(frozen=True, slots=True)
class Which:
    """Which token is asked for: by the id of its tokenization, or by its address on a chain."""

    token_id: UUID | str
    chain_id: int
    is_our_chain: bool


async def get_which(
    token_id: UUID | Address, services: ServicesDep, chain_id: ChainIdParam = None
) -> Which:
    """Read the token of the path, and the chain on which it stands.

    Raises
    ------
    Invalid
        ``chain_not_followed``.
    """
    chain = read_chain_id(services.settings, chain_id)
    return Which(token_id, chain, chain == services.settings.chain_id)


def find_named(session: Session, which: Which) -> Token:
    """Find the token that is asked for, whether or not it is the platform's own.

    Raises
    ------
    NotFound
        The chain has no such token here.
    Unavailable
        ``token_catching_up``.
    Conflict
        ``token_refused``.
    """
    if isinstance(which.token_id, UUID):
        if not which.is_our_chain:
            raise NotFound("token", which.token_id)
        return captable.get_token_of(session, which.token_id, chain_id=which.chain_id)
    address = bytes.fromhex(which.token_id[2:])
    return captable.get_token(session, address, chain_id=which.chain_id)


def needed_on(session: Session, services: Services, chain_id: int, needed: int) -> int:
    """Return how many confirmations make a block of a chain final.

    Parameters
    ----------
    needed
        The same of the platform's own chain, whose node was asked.
    """
    if chain_id == services.settings.chain_id:
        return needed
    # Of the other chains no node is asked here: their sync notes what is final.
    return captable.confirmations_of_final(session, chain_id)


WhichDep = Annotated[Which, Depends(get_which)]


async def get_projected_at(
    which: WhichDep,
    needed: FinalityDep,
    session: ReadSessionDep,
    services: ServicesDep,
    when: ChainTimeDep,
) -> Later[ProjectedAt]:
    """Find the token of the path at the block of `as_of`, whether or not it is the platform's own.

    Raises
    ------
    NotFound
        The chain has no such token here.
    """
    return Later(session, lambda: _look(session, services, which, needed, when))


async def get_paged_at(
    *,
    request: Request,
    response: Response,
    token_id: UUID | Address,
    needed: FinalityDep,
    session: ReadSessionDep,
    chain_id: ChainIdParam = None,
    as_of: AsOfParam = None,
    known_at: KnownAtParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
    cursor: CursorParam = None,
) -> Later[PagedAt]:
    """Find the same for a page: from the second one on, at the block of the first.

    It takes its parameters itself: FastAPI needs longer for four dependencies more than the server
    for a page.

    Raises
    ------
    NotFound
        The chain has no such token here.
    Conflict
        ``page_block_lost``, ``page_read_anew``.
    Invalid
        ``cursor_invalid``, ``chain_not_followed``, ``as_of_malformed``, ``known_at_in_future``.
    """
    services = services_of(request)
    which = await get_which(token_id, services, chain_id)
    when = await get_chain_time(as_of, known_at)
    placed, first = (await get_paging(request, response, limit, cursor)).of_first()

    def find() -> PagedAt:
        at = _look(session, services, which, needed, when, first=first)
        block = partial(_page_block, session, at, first)
        return PagedAt(at.token, at.block, at.block_read, replace(placed, block=block))

    return Later(session, find)


def _page_block(session: Session, at: ProjectedAt, first: PageBlock | None) -> PageBlock:
    """Give the block of all pages: as the first one said, or as it is to be said there."""
    if first is not None:
        return first
    reading = times_read_again_below(session, at.token, at.block.number)
    return PageBlock(at.block.number, at.block.hash, reading)


def _look(
    session: Session,
    services: Services,
    which: Which,
    needed: int,
    when: ChainTime,
    *,
    first: PageBlock | None = None,
) -> ProjectedAt:
    token = find_named(session, which)
    block = (
        known_block_at(session, token.chain_id, when.as_of, when.known_at)
        if first is None
        else same_block_at(session, token.chain_id, first.number, first.hash, when.known_at)
    )
    require_known(session, token, when.known_at, block=block.number)
    if first is not None:
        _require_same_reading(session, token, first)
    if block.degraded is None and not isinstance(which.token_id, UUID):
        block = replace(block, degraded=doubt_of(session, token))
    final = needed_on(session, services, token.chain_id, needed)
    return ProjectedAt(token, block, AsOfBlockRead.of(block, final))


def _require_same_reading(session: Session, token: Token, first: PageBlock) -> None:
    """Refuse to go on with a list of which the first page is of what was thrown away since.

    Block and hash are the same then, and what the pages before said may be of another cap table.

    Raises
    ------
    Conflict
        ``page_read_anew``.
    """
    if times_read_again_below(session, token, first.number) != first.reading:
        raise Conflict(
            "page_read_anew",
            f"The token was repaired and read again up to block {first.number}, of which the "
            "pages before are: they may be wrong.",
            remedy="Begin again without a cursor.",
        )


TokenDep = Annotated[TokenAt, Depends(get_token_at)]
ProjectedDep = Annotated[ProjectedAt, Depends(get_projected_at)]
PagedDep = Annotated[PagedAt, Depends(get_paged_at)]
