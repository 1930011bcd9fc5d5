"""Two hands beside the sender's own, so that node and database work at the same time.

While one batch is signed and stored, the next is prepared, and the one before handed to the node.
The order of commits is untouched: nothing is handed over before its bytes are stored (ADR 0004).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar
from uuid import UUID

Prepared = TypeVar("Prepared")
Rows = Sequence[UUID]


class Pipeline(Generic[Prepared]):
    """Prepares ahead, and hands over behind, in order.

    Only batches are prepared ahead: what they need is a dependency, which is on chain already. A
    single call may rely on the one that was sent before it.

    Parameters
    ----------
    prepare
        Builds and prices the call of a batch.
    """

    def __init__(self, prepare: Callable[[Rows], Prepared]) -> None:
        self._prepare = prepare
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

    def each(self, groups: Sequence[Rows]) -> Iterator[tuple[Rows, Callable[[], Prepared]]]:
        """Give the rows of each transaction, and what waits for its preparation to be done."""
        waiting: Future[Prepared] | None = None
        for rows, following in zip(groups, [*groups[1:], ()], strict=True):
            ready, waiting = waiting, None
            if _is_batch(rows) and _is_batch(following):
                ready = ready or self._ahead.submit(self._prepare, rows)
                waiting = self._ahead.submit(self._prepare, following)
            yield rows, self._now(rows) if ready is None else ready.result

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
        for handed in done:
            self._handed.remove(handed)
            handed.result()
        self._handed.append(self._behind.submit(send))

    def settle(self) -> None:
        """Wait until everything was handed over.

        Raises
        ------
        RpcUnavailable
            Something did not reach the node.
        """
        while self._handed:
            self._handed.pop(0).result()


def _is_batch(rows: Rows) -> bool:
    return len(rows) > 1
