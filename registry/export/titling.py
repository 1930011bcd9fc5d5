"""What an export says of its token: by the register, or by what is known of an adopted one."""

from __future__ import annotations

from datetime import date
from uuid import NAMESPACE_URL, uuid5

from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock
from registry.captable.models import ChainBlock, Token, TokenEvent
from registry.captable.supply import supply_at
from registry.export.models import CapTableExport
from registry.export.sheet import Issue, Sheet, utc_day
from registry.party import service as parties
from registry.tokenization.models import Tokenization
from registry.wrapper import service as wrappers


def sheet_of(
    session: Session, job: CapTableExport, token: Token, block: AsOfBlock, address: str
) -> Sheet:
    """Say what an export says of its token, its issuer and its block.

    Parameters
    ----------
    block
        Of the export, on the branch that it is about.
    address
        Of the token, as EIP-55 writes it.
    """
    tokenization = (
        session.get_one(Tokenization, job.tokenization_id) if job.tokenization_id else None
    )
    account = f"eip155:{job.chain_id}:{address}"
    return Sheet(
        token_id=tokenization.id if tokenization else uuid5(NAMESPACE_URL, account),
        symbol=tokenization.symbol if tokenization else token.symbol or address,
        name=tokenization.name if tokenization else token.name or address,
        decimals=None if tokenization else token.decimals,
        address=address,
        chain_id=job.chain_id,
        block_number=job.block_number,
        block_hash=f"0x{job.block_hash.hex()}",
        mined_at=job.mined_at,
        supply_units=supply_at(session, token, block),
        issue=_issue_of(session, tokenization) if tokenization else None,
        known_since=_known_since(session, token) or utc_day(job.mined_at),
        known_at=job.known_at,
        generated_at=job.recorded_at,
    )


def _issue_of(session: Session, tokenization: Tokenization) -> Issue:
    wrapper = wrappers.find_wrapper(session, tokenization.asset_id)
    assert wrapper is not None, "no token without the vehicle that holds its asset"
    issuer = parties.get_party(session, wrapper.party_id)
    assert issuer.name is not None, "a wrapper is a company"
    return Issue(
        declared_fractions=tokenization.declared_fractions,
        price_paisa=tokenization.price_paisa,
        issuer_id=issuer.id,
        issuer_name=issuer.name,
        issuer_country=issuer.residence_country,
        issuer_since=utc_day(wrapper.recorded_at),
    )


def _known_since(session: Session, token: Token) -> date | None:
    """Give the day of the first block in which a token said anything."""
    mined_at = session.exec(
        select(ChainBlock.mined_at)
        .join(TokenEvent, col(TokenEvent.block_number) == col(ChainBlock.number))
        .where(
            col(ChainBlock.chain_id) == token.chain_id, col(TokenEvent.token_no) == token.token_no
        )
        .order_by(col(TokenEvent.block_number))
        .limit(1)
    ).first()
    return utc_day(mined_at) if mined_at else None
