"""A token at a block: what every route below /v1/tokens/{token_id} looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends

from api.as_of import ChainTimeDep
from api.deps import FinalityDep, ReadSessionDep, ServicesDep
from api.schemas.common import AsOfBlockRead
from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.branches import known_block_at
from registry.captable.models import Token
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization


@dataclass(frozen=True, slots=True)
class TokenAt:
    """A token, and the block at which it is looked at."""

    tokenization: Tokenization
    token: Token
    block: AsOfBlock
    block_read: AsOfBlockRead


def get_token_at(
    token_id: UUID,
    needed: FinalityDep,
    session: ReadSessionDep,
    services: ServicesDep,
    when: ChainTimeDep,
) -> TokenAt:
    """Find the token of the path at the block of `as_of`, as it was known at `known_at`."""
    tokenization = tokenizations.get_deployed(session, token_id)
    assert tokenization.token_address is not None
    chain_id = services.settings.chain_id
    block = known_block_at(session, chain_id, when.as_of, when.known_at)
    return TokenAt(
        tokenization,
        captable.get_token(session, tokenization.token_address),
        block,
        AsOfBlockRead.of(block, needed),
    )


TokenDep = Annotated[TokenAt, Depends(get_token_at)]
