"""Answering 202: the chain is at work, and this is where to look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import Depends, Response

from api.deps import ServicesDep, SessionDep
from api.schemas.operations import OperationRead
from registry.operation.models import Operation

Accept = Callable[[Operation], OperationRead]
AcceptAll = Callable[[Sequence[Operation]], list[OperationRead]]


async def get_accept(session: SessionDep, services: ServicesDep, response: Response) -> Accept:
    """Give what shows an operation and points the client to it."""

    def accept(operation: Operation) -> OperationRead:
        response.headers["Location"] = f"/v1/operations/{operation.id}"
        return OperationRead.of(session, services.settings.chain_id, operation)

    return accept


async def get_accept_all(
    session: SessionDep, services: ServicesDep, response: Response
) -> AcceptAll:
    """Give what shows many operations and points the client to the last of them."""

    def accept_all(planned: Sequence[Operation]) -> list[OperationRead]:
        if planned:
            response.headers["Location"] = f"/v1/operations/{planned[-1].id}"
        return OperationRead.of_all(session, services.settings.chain_id, planned)

    return accept_all


AcceptDep = Annotated[Accept, Depends(get_accept)]
AcceptAllDep = Annotated[AcceptAll, Depends(get_accept_all)]
