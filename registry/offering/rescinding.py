"""What was minted of a sale that is given up: it is burned, and its buyers' money goes back.

The giving up is the case of these burns: two people agreed on it, whatever was minted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, cast, func
from sqlmodel import Session, col, select

from registry.captable import service as captable
from registry.captable.supply import is_gone
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.offering import orders
from registry.operation import service as operations
from registry.operation.models import FAILED, IN_FLIGHT, Operation, OperationKind, OperationState
from registry.reconciliation.views import look_at
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from registry.tokenization.title_status import TitleStatus

TRIED_AGAIN_AFTER = timedelta(hours=1)
"""A burn that failed is planned anew so long after: what stood in its way may have ended."""


def supply_of(session: Session, tokenization: Tokenization) -> int:
    """Return how many fractions of a deployed token the projected chain shows."""
    assert tokenization.token_address is not None, "a deployed token has an address"
    token = captable.find_token(session, tokenization.token_address)
    return int(token.supply_units) if token is not None else 0


def is_nothing_left(session: Session, tokenization: Tokenization) -> bool:
    """Tell whether no fraction of a deployed token exists, nor can come back (`is_gone`).

    What was never minted need not be told by the chain: such a sale fails before it is read, too.
    """
    assert tokenization.token_address is not None, "a deployed token has an address"
    token = captable.find_token(session, tokenization.token_address)
    if token is not None:
        return is_gone(session, token)
    minted = select(Operation.id).where(
        _of(tokenization),
        col(Operation.kind) == OperationKind.MINT,
        col(Operation.state).not_in(FAILED),
    )
    return session.exec(minted.limit(1)).first() is None


def is_under_way(session: Session, tokenization: Tokenization) -> bool:
    """Tell whether a mint or the opening of a token is on its way, or minted and not read yet."""
    acts = col(Operation.kind).in_([OperationKind.MINT, OperationKind.UNPAUSE])
    open_states = col(Operation.state).in_([OperationState.PLANNED, *IN_FLIGHT])
    on_its_way = select(Operation.id).where(_of(tokenization), acts, open_states).limit(1)
    if session.exec(on_its_way).first() is not None:
        return True
    units = cast(col(Operation.params)["units"].as_string(), BigInteger)
    minted = session.scalar(
        select(func.coalesce(func.sum(units), 0)).where(
            _of(tokenization),
            col(Operation.kind) == OperationKind.MINT,
            col(Operation.state) == OperationState.FINAL,
        )
    )
    return supply_of(session, tokenization) < int(minted or 0)


def _of(tokenization: Tokenization) -> ColumnElement[bool]:
    of_token: ColumnElement[bool] = col(Operation.params)["tokenization_id"].as_string() == str(
        tokenization.id
    )
    return of_token


def list_unwinding(session: Session) -> Sequence[Tokenization]:
    """List the tokens whose sale has failed or was given up, and that have not ended."""
    return session.exec(
        select(Tokenization)
        .where(col(Tokenization.state) == TokenizationState.UNWINDING)
        .order_by(col(Tokenization.id))
    ).all()


def due_burns(session: Session) -> Sequence[UUID]:
    """List the tokens of which something was minted, and whose burns are to be planned.

    While a court halts the title the chain burns nothing either: the money goes back before.
    """
    return [
        row.id
        for row in list_unwinding(session)
        if row.title_status != TitleStatus.HALT
        and _is_burnable(session, row)
        and _is_to_plan(_burns_of(session, row))
    ]


def _is_burnable(session: Session, tokenization: Tokenization) -> bool:
    """Tell whether something is left, and all is known of who has it."""
    assert tokenization.token_address is not None, "an UNWINDING token was deployed"
    token = captable.find_token(session, tokenization.token_address)
    return token is not None and token.is_told_whole and token.supply_units > 0


def _burns_of(session: Session, tokenization: Tokenization) -> Sequence[Operation]:
    return session.exec(
        select(Operation)
        .where(_of(tokenization), col(Operation.kind) == OperationKind.REDEEM)
        .order_by(col(Operation.id))
    ).all()


def _is_to_plan(burns: Sequence[Operation]) -> bool:
    """Tell whether no burn was planned, or one failed that is to be tried again."""
    before = now() - TRIED_AGAIN_AFTER
    return not burns or any(
        burn.state in FAILED
        and "#" not in burn.key
        and (burn.ended_at is None or burn.ended_at < before)
        for burn in burns
    )


def burn_minted(session: Session, tokenization_id: UUID) -> list[Operation]:
    """Have the chain burn what each holder has; asked again, only what did not happen.

    Raises
    ------
    Unavailable
        ``sync_not_started``.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    if tokenization_id not in due_burns(session):
        return []
    offering = orders.find_offering_of(session, tokenization_id)
    assert offering is not None, "what was minted was on sale"
    # Of one number the agent carries out one act: a holder keeps theirs.
    numbers = {
        str(burn.params["wallet"]): int(burn.params["number"])
        for burn in _burns_of(session, tokenization)
    }
    wanted = []
    for entry in look_at(session, tokenization_id).entries:
        wallet = f"0x{entry.address.hex()}"
        number = numbers.setdefault(wallet, len(numbers) + 1)
        wanted.append(
            operations.NewOperation(
                OperationKind.REDEEM,
                f"unwind:{tokenization_id}:{wallet}",
                ("tokenization", tokenization_id),
                {
                    "offering_id": str(offering.id),
                    "tokenization_id": str(tokenization_id),
                    "number": number,
                    "wallet": wallet,
                    "units": str(entry.balance_units),
                },
            )
        )
    return list(operations.plan_all(session, THE_SYSTEM, wanted).values())


def require_burnable(session: Session, operation: Operation) -> None:
    """Ask again, when a burn is signed, whether the sale is given up.

    Raises
    ------
    Conflict
        ``token_not_redeeming``.
    """
    token_id = UUID(operation.params["tokenization_id"])
    tokenization = tokenizations.get_tokenization(session, token_id)
    if tokenization.state != TokenizationState.UNWINDING:
        raise Conflict("token_not_redeeming", f"The token is {tokenization.state}.")
