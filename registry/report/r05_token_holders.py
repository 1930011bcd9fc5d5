"""R-05: the register of a token's holders at a block, with the persons behind the wallets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from fractions import Fraction

from sqlmodel import Session

from registry.captable import entries
from registry.captable.claims import ClaimState, KnownWallet, known_wallets
from registry.captable.entries import CapTableEntry
from registry.captable.frozen import frozen_whole
from registry.captable.models import Token
from registry.captable.supply import supply_at
from registry.investor.service import KYC_TOPIC
from registry.report.countries import letters_of
from registry.report.held_since import held_since
from registry.report.people import cnic_column, name_column, person_of
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.subjects import OfToken, token_of

COLUMNS = (
    Column("party", Kind.ID),
    name_column("name"),
    cnic_column(),
    Column("country"),
    Column("wallet", Kind.ADDRESS),
    Column("balance", Kind.UNITS),
    Column("share", Kind.FRACTION),
    Column("frozen", Kind.UNITS),
    Column("address_frozen", Kind.FLAG, says="The whole wallet is frozen: nothing in it moves"),
    Column("acquired", Kind.TIME),
    Column("kyc_expiry", Kind.TIME),
)
_AT_ONCE = 1_000


def _rows(session: Session, question: Question[OfToken]) -> Iterator[Row]:
    _, token = token_of(session, question)
    block = question.at_block
    supply = supply_at(session, token, block)
    for some in _holders(session, question, token):
        addresses = [holder.address for holder in some]
        known = known_wallets(session, token, block, addresses)
        held = {holder.address: holder.balance_units for holder in some}
        acquired = held_since(session, token, block, held)
        frozen = frozen_whole(session, token, block, addresses)
        for holder in some:
            wallet = known.get(holder.address)
            person = person_of(question, holder.party)
            yield Row(
                (holder.address.hex(),),
                (
                    person.party_id,
                    person.name,
                    person.cnic,
                    letters_of(wallet.country if wallet else None),
                    holder.address,
                    holder.balance_units,
                    Fraction(holder.balance_units, supply),
                    holder.frozen_units,
                    holder.address in frozen,
                    acquired.get(holder.address),
                    _kyc_expiry(wallet),
                ),
            )


def _holders(
    session: Session, question: Question[OfToken], token: Token
) -> Iterator[Sequence[CapTableEntry]]:
    """Yield the holders by address, some at once: there may be a million of them."""
    after = bytes.fromhex(str(question.after[0])) if question.after else None
    at_once = question.at_once(_AT_ONCE)
    while some := entries.list_holders(
        session, token, question.at_block, after=after, limit=at_once
    ):
        yield some
        if len(some) < at_once:
            return
        after = some[-1].address


def _kyc_expiry(wallet: KnownWallet | None) -> datetime | None:
    """Tell until when the KYC lasts or lasted; what was revoked lasts no more."""
    claims = wallet.claims if wallet else ()
    lasting = (ClaimState.VALID, ClaimState.EXPIRED)
    return max(
        (
            claim.expires_at
            for claim in claims
            if claim.topic == KYC_TOPIC and claim.state in lasting
        ),
        default=None,
    )


TOKEN_HOLDERS = Report(
    code="R-05",
    title="Token holder register",
    title_ur="ٹوکن رکھنے والوں کا رجسٹر",
    parameters=OfToken,
    columns=COLUMNS,
    rows=_rows,
    speaks_of_chain=True,
    of_one_moment=True,
)
