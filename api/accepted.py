"""Answering 202: the chain is at work, and this is where to look."""

from __future__ import annotations

from fastapi import Response
from sqlmodel import Session

from api.schemas.operations import OperationRead
from registry.operation.models import Operation


def accepted(
    session: Session, chain_id: int, response: Response, operation: Operation
) -> OperationRead:
    """Point to the operation that carries the request out."""
    response.headers["Location"] = f"/v1/operations/{operation.id}"
    return OperationRead.of(session, chain_id, operation)
