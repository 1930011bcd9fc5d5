"""Two hands beside the sender's own, so that node and database work at the same time.

While some batches are signed and stored, the next are prepared, and those before handed to the
node. The order of commits is untouched: nothing is handed over before its bytes are stored
(ADR 0004).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby, pairwise
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar
from uuid import UUID

Prepared = TypeVar("Prepared")
Rows = Sequence[UUID]
TOGETHER = 4
"""Batches that are signed in one transaction and handed to the node at once (ADR 0063)."""


class Begun(NamedTuple, Generic[Prepared]):
    """The rows of a transaction, and what waits until it is prepared."""

    rows: Rows
    prepared: Callable[[], Prepared]


class Pipeline(Generic[Prepared]):
    """Prepares ahead, and hands over behind, in order.

    Only batches are prepared ahead: what they need is a dependency, which is on chain already. A
    single call may rely on the one that was sent before it.

    Parameters
    ----------
    prepare
        Builds and prices the call of a batch.
    together
        Batches that are given at once, at most.
    """

    def __init__(self, prepare: Callable[[Rows], Prepared], *, together: int = TOGETHER) -> None:
        self._prepare = prepare
        self._together = together
        self._ahead = ThreadPoolExecutor(1, "prepare")
        self._behind = ThreadPoolExecutor(1, "broadcast")
        self._handed: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _fault: BaseException | None,
        _where: TracebackType | None,
    ) -> None:
        self._ahead.shutdown(cancel_futures=True)
        self._behind.shutdown()
        if kind is None:
            self.settle()

    def each(self, groups: Sequence[Rows]) -> Iterator[list[Begun[Prepared]]]:
        """Give what is signed together: several batches, or one call."""
        ready: list[Begun[Prepared]] = []
        for bunch, following in pairwise([*_bunches(groups, self._together), []]):
            now = ready or self._begin(bunch)
            # Nothing is prepared while a single call stands before it: that may change the answer.
            is_next = _is_ahead(bunch) and _is_ahead(following)
            ready = self._begin(following) if is_next else []
            yield now

    def _begin(self, bunch: Sequence[Rows]) -> list[Begun[Prepared]]:
        if not _is_ahead(bunch):
            return [Begun(rows, self._now(rows)) for rows in bunch]
        return [Begun(rows, self._ahead.submit(self._prepare, rows).result) for rows in bunch]

    def _now(self, rows: Rows) -> Callable[[], Prepared]:
        return lambda: self._prepare(rows)

    def hand_over(self, send: Callable[[], None]) -> None:
        """Have something sent after whatever was handed over before.

        Raises
        ------
        RpcUnavailable
            Something before it did not reach the node.
        """
        done = [handed for handed in self._handed if handed.done()]
        # First of all: what is signed goes out, whatever became of what went before it.
        self._handed.append(self._behind.submit(send))
        for handed in done:
            self._handed.remove(handed)
            handed.result()

    def settle(self) -> None:
        """Wait until everything was handed over.

        Raises
        ------
        RpcUnavailable
            Something did not reach the node.
        """
        while self._handed:
            self._handed.pop(0).result()


def _bunches(groups: Sequence[Rows], together: int) -> list[list[Rows]]:
    """Take batches that follow each other together; a single call stands alone."""
    bunches: list[list[Rows]] = []
    for is_batch, some in groupby(groups, _is_batch):
        run, most = list(some), together if is_batch else 1
        bunches += [run[start : start + most] for start in range(0, len(run), most)]
    return bunches


def _is_batch(rows: Rows) -> bool:
    return len(rows) > 1


def _is_ahead(bunch: Sequence[Rows]) -> bool:
    return any(_is_batch(rows) for rows in bunch)
