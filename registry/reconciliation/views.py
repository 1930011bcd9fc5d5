"""A token as the projected chain shows it, at one block: what the checks look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from uuid import UUID

from sqlmodel import Session

from registry.captable import entries
from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.entries import CapTableEntry
from registry.captable.models import Token
from registry.kernel.errors import Conflict
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be.

    Parameters
    ----------
    subject
        What differs, in a word that the next run finds again.
    """

    rule: str
    subject: str
    detail: str


@dataclass(frozen=True)
class TokenView:
    """A token, the block at which it is looked at, and who held it then.

    Parameters
    ----------
    subject
        Where one wants to know of this alone: of a million holders, one.
    """

    session: Session
    tokenization: Tokenization
    token: Token
    block: AsOfBlock
    subject: str | None = None

    @cached_property
    def entries(self) -> Sequence[CapTableEntry]:
        """Every holder: read when it is asked for, since there may be a million of them."""
        return entries.list_holders(self.session, self.token, self.block)


def look_at(
    session: Session,
    tokenization_id: UUID,
    as_of: datetime | int | None = None,
    *,
    subject: str | None = None,
) -> TokenView:
    """Return the token at the last block at or before `as_of`, or the newest.

    Raises
    ------
    Conflict
        ``token_not_deployed``, ``block_not_synced``.
    NotFound
        The tokenization or the block does not exist.
    Unavailable
        ``sync_not_started``.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id)
    if tokenization.token_address is None:
        raise Conflict("token_not_deployed", "The token does not stand on chain yet.")
    token = captable.get_token(session, tokenization.token_address)
    block = captable.block_at(session, token.chain_id, as_of)
    return TokenView(session, tokenization, token, block, subject)
