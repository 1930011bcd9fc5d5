"""Finding the planned operations that a transaction carried out, by what it says.

What a database from an old backup had planned after that backup is planned anew, under other ids.
A call alone is compared as it is; a batch row by row, since it may hold rows of both kinds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

import structlog
from sqlmodel import Session, col, select

from chain.contracts.abi import Function, contract
from chain.contracts.decoding import Garbled, decode
from chain.errors import ChainError
from chain.operations import EFFECTS
from chain.operations.effect import Call, Chain
from registry.kernel.errors import RegistryError
from registry.operation.models import (
    ON_CHAIN,
    Operation,
    OperationDependency,
    OperationState,
    PlatformContract,
)

log = structlog.get_logger()

_NOT_COMPARABLE = (RegistryError, ChainError, AssertionError, KeyError)
"""What an operation needs is not known yet: then it cannot have been sent either."""

Element = tuple[Any, ...]


def find_alike(session: Session, chain: Chain, call: Call) -> Operation | None:
    """Give a planned operation with the very same call."""
    return next(
        (
            operation
            for operation in _list_planned(session)
            if _call_of(session, chain, [operation], alone=True) == call
        ),
        None,
    )


def find_rows_alike(
    session: Session, chain: Chain, ids: Sequence[UUID], call: Call
) -> list[Operation] | None:
    """Give the planned operations whose batch has the very same call, in its order.

    Parameters
    ----------
    ids
        Of the rows, as the transaction names them: where the database has one of them, it is
        that one.
    """
    function = _function_of(session, chain, call)
    if function is None:
        return None
    groups = defaultdict(list)
    for operation in _list_planned(session):
        key = EFFECTS[operation.kind].batch_key(operation)
        if key is not None:
            groups[operation.kind, key].append(operation)
    for group in groups.values():
        offers = _offers(session, chain, group, function, call)
        rows = _choose(offers, ids, _elements(function, call, len(ids)))
        if rows is not None and _call_of(session, chain, rows) == call:
            return rows
    return None


def _offers(
    session: Session, chain: Chain, group: Sequence[Operation], function: Function, call: Call
) -> dict[Element, list[Operation]]:
    """Give the operations of a group by what a batch would say of each."""
    offers: dict[Element, list[Operation]] = defaultdict(list)
    for operation in group:
        alone = _call_of(session, chain, [operation])
        if alone is not None and (alone.to, alone.data[:4]) == (call.to, function.selector):
            for element in _elements(function, alone, 1):
                offers[element].append(operation)
    return offers


def _choose(
    offers: dict[Element, list[Operation]], ids: Sequence[UUID], elements: Sequence[Element]
) -> list[Operation] | None:
    """Give one operation for each row, the one of the row's id where that is offered."""
    if len(elements) != len(ids):
        return None
    rows = []
    for row_id, element in zip(ids, elements, strict=True):
        able = [each for each in offers.get(element, ()) if each not in rows]
        named = [each for each in able if each.id == row_id]
        others = [each for each in able if each.id not in ids]
        if not named and not others:
            return None
        rows.append((named or others)[0])
    return rows


def _elements(function: Function, call: Call, count: int) -> list[Element]:
    """Read what a call says of each of its rows: all of its lists that are as long as the batch."""
    try:
        values = decode(function.inputs, call.data[4:])
    except Garbled:
        return []
    lists = [
        value
        for value, kind in zip(values, function.inputs, strict=True)
        if kind.endswith("[]") and len(value) == count
    ]
    return list(zip(*lists, strict=True))


def _function_of(session: Session, chain: Chain, call: Call) -> Function | None:
    name = session.exec(
        select(PlatformContract.name).where(
            col(PlatformContract.chain_id) == chain.chain_id,
            col(PlatformContract.address) == call.to,
        )
    ).first()
    functions = contract(name).functions.values() if name else ()
    return next((each for each in functions if each.selector == call.data[:4]), None)


def _call_of(
    session: Session, chain: Chain, rows: Sequence[Operation], *, alone: bool = False
) -> Call | None:
    effect = EFFECTS[rows[0].kind]
    try:
        if alone:
            return effect.prepare(session, chain, rows[0])
        return effect.fold(session, chain, rows)
    except _NOT_COMPARABLE as fault:
        log.debug("not_comparable", operation=str(rows[0].id), reason=repr(fault))
        return None


def _list_planned(session: Session) -> list[Operation]:
    """List what is planned; first what could have been sent, since all it requires is on chain.

    The others too: where a reorg dropped what one requires, and the database has forgotten that it
    was sent, an empty call has closed its gap, and the one behind it has happened all the same.
    """
    required = select(OperationDependency.operation_id).join(
        Operation, col(Operation.id) == col(OperationDependency.requires_id)
    )
    waits = col(Operation.id).in_(required.where(col(Operation.state).not_in(ON_CHAIN)))
    rows = session.exec(
        select(Operation, waits)
        .where(col(Operation.state) == OperationState.PLANNED)
        .order_by(col(Operation.id))
        .with_for_update()
    ).all()
    return [operation for operation, _ in sorted(rows, key=itemgetter(1))]
