"""Calls of one node, alone or many together: sent in their turn, and their answers told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from chain.errors import RpcInconsistent, RpcUnavailable
from chain.node.answers import CHECKS
from chain.node.limits import RateLimit, refusal
from chain.node.wire import Wire, decode_any, encode_batch, encode_call

ANSWER_BYTES = 64 * 2**20
"""More is not read: the question was too wide."""
CALLS_AT_ONCE = 200
"""In one round trip; more are asked in several."""

Answer = TypeVar("Answer")


class Transport:
    """Carries calls to one node.

    Parameters
    ----------
    rpc_url : str
        http or https.
    timeout_seconds : float
        How long one call may take.
    limit : RateLimit
        How often the node may be asked.
    """

    def __init__(self, rpc_url: str, timeout_seconds: float, limit: RateLimit) -> None:
        self.rpc_url = rpc_url
        self._limit = limit
        if urlsplit(rpc_url).scheme not in {"http", "https"}:
            raise RpcUnavailable(f"RPC_URL {rpc_url!r} is not an http or https URL")
        # No retries below us: whether a call may be repeated is the caller's knowledge.
        self._wire = Wire(rpc_url, timeout_seconds)

    def request(self, method: str, *params: Any) -> Any:
        """Call one method.

        Raises
        ------
        RpcUnavailable, RpcRefused
        """
        with self._limit.spent():
            body = self._wire.post(method, encode_call(method, *params), ANSWER_BYTES)
            return result_of(method, decode_any(method, body))

    def batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Call several methods in as few round trips as may be; answers in the order of `calls`.

        Raises
        ------
        RpcUnavailable, RpcRefused, RpcInconsistent
        """
        return self._batch(calls, result_of)

    def _batch(
        self, calls: Sequence[tuple[str, tuple[Any, ...]]], read: Callable[[str, Any], Answer]
    ) -> list[Answer]:
        if not calls:
            return []
        most = self._most_at_once
        if len(calls) > most:
            parts = (calls[start : start + most] for start in range(0, len(calls), most))
            return [answer for part in parts for answer in self._batch(part, read)]
        with self._limit.spent(len(calls)):
            body = self._wire.post("batch", encode_batch(calls), ANSWER_BYTES)
            answers = decode_any("batch", body)
            if not isinstance(answers, list):
                whole = result_of("batch", answers)
                raise RpcInconsistent(f"{len(calls)} calls got one answer: {whole}")
            # Nodes may answer in any order, and some leave answers out.
            found = {_id_of(answer): answer for answer in answers}
            if len(answers) != len(calls) or found.keys() != set(range(len(calls))):
                raise RpcInconsistent(f"{len(calls)} calls got other answers than theirs")
            return [read(method, found[number]) for number, (method, _) in enumerate(calls)]

    @property
    def _most_at_once(self) -> int:
        return min(CALLS_AT_ONCE, self._limit.most_at_once)


def result_of(method: str, answer: Any) -> Any:
    """Return what an answer says, as the node wrote it.

    Raises
    ------
    RpcUnavailable
        It is no JSON-RPC.
    RpcRefused, RateLimited
        It is an error.
    RpcInconsistent
        It makes no sense.
    """
    if not isinstance(answer, dict):
        raise RpcUnavailable(f"{method}: the answer is not JSON-RPC")
    error = answer.get("error")
    if error is not None and not isinstance(error, dict):
        raise RpcUnavailable(f"{method}: {error}")
    if error is not None:
        code, data = error.get("code"), error.get("data")
        raise refusal(
            method,
            code if isinstance(code, int) else 0,
            str(error.get("message", "")),
            data if isinstance(data, str) else None,
        )
    result = answer.get("result")
    if method in CHECKS:
        CHECKS[method](result)
    return result


def _id_of(answer: Any) -> int | None:
    number = answer.get("id") if isinstance(answer, dict) else None
    return number if isinstance(number, int) else None
