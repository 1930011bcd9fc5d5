"""The ids of operations at the end of a transaction's data, which contracts do not read.

With it the chain alone tells which operations were carried out, should the database be restored
from an old backup. The last 16 bytes are the id of the operation that owns the transaction; before
it stand the ids of what it carries, where it is a batch. Each costs 256 gas (EIP-2028), 640 at
most (EIP-7623).
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from sqlmodel import Session

from chain.operations.effect import Call
from chain.sending import batches
from registry.kernel.ids import is_id
from registry.operation.models import Operation

SIZE = 16
PLACEHOLDER = b"\xff" * SIZE
"""As dear as any id; what a call is estimated with before the operation of its batch exists."""


def estimable(call: Call, rows: int) -> Call:
    """Give a call as long as it will be when it is signed, for `rows` operations."""
    return replace(call, data=call.data + PLACEHOLDER * (rows if rows == 1 else rows + 1))


def signed_off(session: Session, operation: Operation, call: Call) -> Call:
    """Give a call with the ids of what it carries out; the empty call stays empty."""
    if not call.data:
        return call
    return replace(call, data=call.data + _ids(session, operation))


def without(session: Session, operation: Operation, call: Call) -> Call:
    """Give the call as it was before `signed_off`."""
    return replace(call, data=call.data.removesuffix(_ids(session, operation)))


def read_ids(data: bytes) -> list[UUID]:
    """Read the ids of a transaction of ours: what it carries in order, then the owner's.

    Empty where the data ends otherwise: it was signed by something else, or by a version of ours
    that wrote none.
    """
    ids: list[UUID] = []
    end = len(data)
    while end >= SIZE and is_id(chunk := data[end - SIZE : end]):
        ids.insert(0, UUID(bytes=chunk))
        end -= SIZE
    return ids


def _ids(session: Session, operation: Operation) -> bytes:
    return b"".join(row_id.bytes for row_id in batches.ids_of(session, operation))
