"""What the title of an asset lets its token do, and telling the chain whenever that changes.

No lien that the token does not feel: whatever comes into force on the title, or ends, becomes a
status on chain, beside the Merkle root of the encumbrances that it follows from.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import Asset, AssetState
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Effect, Encumbrance
from registry.journal import service as journal
from registry.journal.merkle import leaf_hash, node_hash, split
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.canonical import record_hash
from registry.kernel.errors import Conflict
from registry.kernel.rows import get_row
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind
from registry.title import service as titles
from registry.title.models import ENDED as TITLE_ENDED
from registry.title.models import TitleState
from registry.tokenization.models import ENDED, Tokenization


class TitleStatus(StrEnum):
    """From least to most restricted, as contracts/compliance/TitleStatusModule.sol numbers them."""

    CLEAR = "CLEAR"
    NOTICE = "NOTICE"
    NO_MINT = "NO_MINT"
    HALT = "HALT"


NOTHING = bytes(32)
"""The root where nothing is in force."""

_STATUS_OF = {
    Effect.DISCLOSE: TitleStatus.NOTICE,
    Effect.BLOCK_TOKENIZE: TitleStatus.NO_MINT,
    Effect.BLOCK_TRANSFER: TitleStatus.NO_MINT,
    Effect.BLOCK_ALL: TitleStatus.HALT,
}


def status_of(session: Session, asset: Asset) -> tuple[TitleStatus, bytes]:
    """Return the status that the title asks for now, and the root of what is in force on it.

    A debt whose lender agreed to the token is only noted. An asset that is gone is halted, and
    so is a title in dispute. Of a title that has ended nothing more is made; what its holders
    have is still paid for and burnt.
    """
    title = titles.title_of_asset(session, asset.id)
    binding = encumbrances.list_binding(session, title.id)
    asked = [_STATUS_OF[Effect(effect)] for _, effect in binding]
    if asset.state == AssetState.RETIRED or title.state == TitleState.DISPUTED:
        asked.append(TitleStatus.HALT)
    if title.state in TITLE_ENDED:
        asked.append(TitleStatus.NO_MINT)
    order = list(TitleStatus)
    worst = max(asked, key=order.index, default=TitleStatus.CLEAR)
    return worst, _root(sorted(_leaf(item, effect) for item, effect in binding))


def _leaf(item: Encumbrance, effect: str) -> bytes:
    said = {"id": str(item.id), "kind": item.kind, "effect": effect, "state": item.state}
    return leaf_hash(record_hash(said))


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) < 2:  # noqa: PLR2004
        return leaves[0] if leaves else NOTHING
    middle = split(len(leaves))
    return node_hash(_root(leaves[:middle]), _root(leaves[middle:]))


def tell_chain(session: Session, asset: Asset) -> None:
    """Plan what brings the token of an asset to the status of its title, if it is not told yet.

    The asset's row must be locked: of two changes at one moment, the later is told last.
    """
    query = select(Tokenization).where(
        col(Tokenization.asset_id) == asset.id, col(Tokenization.state).not_in(ENDED)
    )
    alive = session.exec(query).first()
    if alive is None or alive.token_address is None:
        return
    status, root = status_of(session, asset)
    told, told_root = alive.title_status, alive.title_root
    if (told, told_root) == (status, root):
        return
    alive.title_status, alive.title_root, alive.title_told = status, root, alive.title_told + 1
    session.flush()
    journal.record(
        session, THE_SYSTEM, "title_status_told", "tokenization", alive.id,
        status=str(status), root=root.hex(),
    )  # fmt: skip
    if told is None and (status, root) == (TitleStatus.CLEAR, NOTHING):
        return  # as a new token begins
    if told == TitleStatus.HALT and status != TitleStatus.HALT:
        halted = told_root or NOTHING
        proposal = _plan(session, alive, OperationKind.PROPOSE_LIFT, halted_root=halted.hex())
        _plan(
            session, alive, OperationKind.CONFIRM_LIFT, after=[proposal], halted_root=halted.hex()
        )
    else:
        _plan(session, alive, OperationKind.SET_TITLE_STATUS)


def _plan(
    session: Session,
    tokenization: Tokenization,
    kind: OperationKind,
    *,
    after: Sequence[Operation] = (),
    **more: str,
) -> Operation:
    assert tokenization.title_root is not None
    return operations.plan(
        session,
        THE_SYSTEM,
        kind,
        key=f"{kind}:{tokenization.id}:{tokenization.title_told}",
        subject=("tokenization", tokenization.id),
        params={
            "tokenization_id": str(tokenization.id),
            "status": str(tokenization.title_status),
            "root": tokenization.title_root.hex(),
            **more,
        },
        after=after,
    )


def require_liftable(session: Session, tokenization_id: UUID) -> None:
    """Refuse to end a halt while the register wants it.

    Raises
    ------
    Conflict
        ``title_halted``.
    """
    tokenization = get_row(session, Tokenization, tokenization_id, kind="tokenization")
    asset = assets.get_asset(session, tokenization.asset_id, lock=True)
    status, _ = status_of(session, asset)
    if status == TitleStatus.HALT:
        raise Conflict(
            "title_halted",
            "Something that stops every dealing is in force on the title again.",
            rule="ENC-02",
        )


def list_untold(session: Session) -> Sequence[UUID]:
    """List the assets whose tokens do not show the status of their titles."""
    rows = session.exec(
        select(Tokenization, Asset)
        .join(Asset, col(Asset.id) == col(Tokenization.asset_id))
        .where(col(Tokenization.state).not_in(ENDED), col(Tokenization.token_address).is_not(None))
    )
    return [
        asset.id
        for tokenization, asset in rows
        if (tokenization.title_status, tokenization.title_root) != status_of(session, asset)
    ]


def tell_asset(session: Session, asset_id: UUID) -> None:
    """Tell the chain of what time alone, or another way, changed on a title."""
    tell_chain(session, assets.get_asset(session, asset_id, lock=True))
