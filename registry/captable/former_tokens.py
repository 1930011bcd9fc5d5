"""Tokens whose deployment a reorg took, each by the number under which it was known.

What a lost branch said of a token is kept under that number (`captable.orphans`). Deployed again,
in another block, it has the same address, and gets its number back: so it is the same token for
whoever asks what was known, or follows it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import UniqueConstraint, delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, SQLModel, col, select

from registry.captable.models import ProofRound, RegisteredWallet, Token
from registry.captable.readings import TokenReading
from registry.kernel.columns import bigint, binary


class FormerToken(SQLModel, table=True):
    """A token that was forgotten at least once; the row stays when it comes again."""

    __tablename__ = "former_token"
    __table_args__ = (UniqueConstraint("token_no", name="uq_former_token_number"),)

    chain_id: int = bigint(primary_key=True)
    address: bytes = binary(primary_key=True)
    token_no: int


def forget_tokens(session: Session, tokens: Sequence[int]) -> None:
    """Forget tokens whose deployment was taken back, but for their numbers."""
    numbers = select(Token.chain_id, Token.address, Token.token_no).where(
        col(Token.token_no).in_(tokens)
    )
    keep = insert(FormerToken).from_select(["chain_id", "address", "token_no"], numbers)
    session.execute(keep.on_conflict_do_nothing())
    for table in (RegisteredWallet, ProofRound, Token):
        session.execute(delete(table).where(col(table.token_no).in_(tokens)))
    # Nothing is read of it any more: when it comes again, it is read from its first block.
    session.execute(
        update(TokenReading)
        .where(col(TokenReading.token_no).in_(tokens), col(TokenReading.joined_at).is_(None))
        .values(joined_at=func.now())
    )


def former_numbers(
    session: Session, chain_id: int, addresses: Collection[bytes]
) -> Mapping[bytes, int]:
    """Return the numbers of those of the addresses that were forgotten."""
    query = select(FormerToken.address, FormerToken.token_no).where(
        col(FormerToken.chain_id) == chain_id, col(FormerToken.address).in_(addresses)
    )
    return dict(session.exec(query).all())
