"""Telling of several nodes: how each stands, and what waits while they do not agree (ADR 0034)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import update
from sqlmodel import col

from chain.errors import NoQuorum
from chain.node.client import ChainClient
from chain.node.nodes import NodePool
from chain.node.pooled_node import NodeStatus
from registry.captable.nodes import NodeWatch, record_nodes
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.operation.errors import operation_problem
from registry.operation.models import Operation, OperationState

log = structlog.get_logger()

RECORD_SECONDS = 5.0
"""What has not changed is written down that often."""
UNMINED = (OperationState.PLANNED, OperationState.SIGNED, OperationState.BROADCAST)
CODES = ("nodes_disagree", "nodes_behind", "too_few_nodes")


def problem_of(fault: NoQuorum) -> dict[str, object]:
    """Say why nothing is believed, as an operation's problem."""
    if fault.code == "nodes_behind":
        return operation_problem(
            "nodes_behind", str(fault), remedy="It goes on when the nodes have caught up."
        )
    if fault.code == "too_few_nodes":
        return operation_problem(
            "too_few_nodes", str(fault), remedy="It goes on when enough nodes answer."
        )
    return operation_problem(
        "nodes_disagree",
        str(fault),
        remedy="It goes on when most nodes agree; take a wrong one out of RPC_URL.",
    )


class NodeRecorder:
    """Writes down how the nodes of a chain stand, for whoever answers `/readyz`.

    Parameters
    ----------
    client
        Of one node nothing is written, but that there are no others.
    """

    def __init__(self, database: Database, client: ChainClient) -> None:
        self._database = database
        self._client = client
        self._told: list[NodeStatus] | None = None
        self._due = time.monotonic()

    def record(self) -> None:
        """Write it down where it has changed, or now and then."""
        statuses = self._client.statuses() if isinstance(self._client, NodePool) else []
        is_due = bool(statuses) and time.monotonic() >= self._due
        if self._told is not None and _in_short(statuses) == _in_short(self._told) and not is_due:
            return
        self._due = time.monotonic() + RECORD_SECONDS
        with self._database.transaction() as session:
            record_nodes(session, self._client.chain_id, self._rows(statuses))
        self._told = statuses

    def _rows(self, statuses: list[NodeStatus]) -> list[NodeWatch]:
        newest = max((status.height for status in statuses), default=0)
        if isinstance(self._client, NodePool):
            newest = self._client.agreed_height or newest
        return [
            NodeWatch(
                chain_id=self._client.chain_id,
                position=status.position,
                name=status.name,
                state=status.state.value,
                detail=status.detail,
                lag_blocks=max(newest - status.height, 0),
                since=now(),
                watched_at=now(),
            )
            for status in statuses
        ]


def _in_short(statuses: list[NodeStatus]) -> list[tuple[int, str, str]]:
    """Give what is told at once; how far a node has come can wait."""
    return [(status.position, status.state, status.detail) for status in statuses]


class QuorumWait:
    """Says in every operation on its way that the nodes do not agree, while they do not."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._told: str | None = ""
        """The code that operations show; at the start it may be any of a run before."""

    @contextmanager
    def told(self) -> Iterator[None]:
        """Take a turn of the worker, and tell when it cannot go on for the nodes."""
        try:
            yield
        except NoQuorum as fault:
            if self._told != fault.code:
                self._tell(fault)
            raise
        if self._told is not None:
            self._untell()

    def _tell(self, fault: NoQuorum) -> None:
        problem = problem_of(fault)
        code = col(Operation.waits_for)["code"].astext
        with self._database.transaction() as session:
            session.execute(
                update(Operation)
                .where(
                    col(Operation.state).in_(UNMINED),
                    col(Operation.waits_for).is_(None) | code.in_(CODES),
                )
                .values(waits_for=problem)
            )
        self._told = fault.code
        log.warning("operations_wait", **problem)

    def _untell(self) -> None:
        with self._database.transaction() as session:
            session.execute(
                update(Operation)
                .where(col(Operation.waits_for)["code"].astext.in_(CODES))
                .values(waits_for=None)
            )
        self._told = None
