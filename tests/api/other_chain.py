"""A chain beside the platform's own that is followed, with one token, under the API."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from api.schemas.common import address_of
from registry.captable.events import (
    ProjectedBlock,
    ProjectedEvent,
    ProjectedRange,
    ProjectedToken,
)
from registry.captable.models import EventKind, SyncCursor
from registry.captable.projection import apply_range, open_cursor
from registry.kernel.settings import FollowedChain
from registry.operation.models import PlatformContract
from tests.api.house import House
from tests.api.moves import FIRST_MINED, Moves, minted, wallet_no
from tests.columns import split

OTHER, UNREAD = 10, 5
ONE, TWO, IDENTITY = wallet_no(0), wallet_no(1), wallet_no(2)


def block(number: int, branch: str = "first") -> ProjectedBlock:
    digest = hashlib.sha256(f"{OTHER} {branch} {number}".encode()).digest()
    return ProjectedBlock(number, digest, bytes(32), FIRST_MINED + timedelta(seconds=number))


def mine(house: House, address: bytes, number: int, *events: dict[str, Any], **more: Any) -> None:
    """Project one block of the other chain."""
    with house.database.transaction() as session:
        cursor = session.get_one(SyncCursor, OTHER)
        said = [
            ProjectedEvent(
                token=address,
                block_number=number,
                log_index=index,
                tx_hash=hashlib.sha256(b"%d" % number).digest(),
                **event,
            )
            for index, event in enumerate(events)
        ]
        found = ProjectedRange(
            blocks=[block(number, more.get("branch", "first"))],
            tokens=more.get("tokens", ()),
            **split(said),
            head_number=number,
        )
        apply_range(session, OTHER, after=(cursor.number, cursor.hash), found=found)


@contextlib.contextmanager
def followed(house: House, ours: Moves) -> Iterator[str]:
    """Give the address of a token there, which is that of ours: 30 units in two wallets."""
    settings = house.services.settings
    chain = FollowedChain(chain_id=OTHER, rpc_url="http://127.0.0.1:1", finality=1)
    settings.followed_chains = (chain,)
    with house.database.transaction() as session:
        # Where the platform stands: what is tokenized is on that chain.
        factory = PlatformContract(
            chain_id=settings.chain_id, name="TREXFactory", address=wallet_no(3), block_number=1
        )
        session.add(factory)
        open_cursor(session, OTHER, block(1), 1)
    token = ProjectedToken(
        address=ours.token, identity_registry=ours.suite["identity_registry"],
        compliance=ours.suite["compliance"], block_number=2,
    )  # fmt: skip
    said = {"identity": IDENTITY.hex(), "country": 528}
    registered = {"kind": EventKind.IDENTITY_REGISTERED, "target": ONE, "extra": said}
    mine(house, ours.token, 2, registered, minted(ONE, 20), tokens=[token])
    mine(house, ours.token, 3, minted(TWO, 10))
    yield address_of(ours.token)
    settings.followed_chains = ()
