"""What the sync would have read from the chain: a token that is minted, block by block."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from registry.captable.events import (
    ProjectedBlock,
    ProjectedEvent,
    ProjectedRange,
    ProjectedToken,
)
from registry.captable.models import EventKind
from registry.captable.projection import apply_range, open_cursor
from registry.kernel.settings import Settings
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization
from tests import factories as make
from tests import sales
from tests.api.house import House
from tests.columns import split
from tests.factories import Buyer, Desk

FIRST_BLOCK = 100
FIRST_MINED = datetime(2026, 1, 1, tzinfo=UTC)
BLOCK_TIME = timedelta(seconds=12)


@dataclass(frozen=True)
class Minted:
    """A token, its holders, and how much each got in which block."""

    token_id: UUID
    declared: int
    mints: Sequence[tuple[int, bytes, int]]
    known: Sequence[Buyer]


def block(number: int) -> ProjectedBlock:
    def digest(which: int) -> bytes:
        return hashlib.sha256(b"block %d" % which).digest()

    return ProjectedBlock(
        number=number,
        hash=digest(number),
        parent_hash=digest(number - 1),
        mined_at=FIRST_MINED + (number - FIRST_BLOCK) * BLOCK_TIME,
    )


def mint_to_many(house: House, holders: int) -> Minted:
    """Deploy a token and mint to `holders` wallets, one a block; the first are investors'."""
    with house.desk() as desk:
        tokenization = sales.deployed(desk, sales.wrapped_apartment(desk))
        known = [make.buyer(desk) for _ in range(3)]
        addresses = [who.wallet.address for who in known]
        addresses += [hashlib.sha256(b"%d" % n).digest()[:20] for n in range(holders - 3)]
        mints = [
            (FIRST_BLOCK + number, address, number) for number, address in enumerate(addresses, 1)
        ]
        project(desk, house.services.settings, tokenization, mints)
        return Minted(tokenization.id, tokenization.declared_fractions, mints, known)


def project(
    desk: Desk,
    settings: Settings,
    tokenization: Tokenization,
    mints: Sequence[tuple[int, bytes, int]],
) -> None:
    session: Session = desk.session
    suite = tokenizations.get_tokenization(session, tokenization.id).suite
    assert suite is not None
    token, registry, compliance = (
        bytes.fromhex(suite[name].removeprefix("0x"))
        for name in ("token", "identity_registry", "compliance")
    )
    start, last = block(FIRST_BLOCK), mints[-1][0]
    open_cursor(session, settings.chain_id, start, FIRST_BLOCK)
    events = [
        ProjectedEvent(
            token=token,
            block_number=number,
            log_index=0,
            tx_hash=hashlib.sha256(address).digest(),
            kind=EventKind.TRANSFER,
            target=address,
            units=units,
        )
        for number, address, units in mints
    ]
    found = ProjectedRange(
        head_number=last + 1,
        blocks=[block(number) for number in range(FIRST_BLOCK + 1, last + 1)],
        tokens=[
            ProjectedToken(
                address=token,
                identity_registry=registry,
                compliance=compliance,
                block_number=FIRST_BLOCK + 1,
            )
        ],
        **split(events),
    )
    apply_range(session, settings.chain_id, after=(start.number, start.hash), found=found)
