"""How often a node may be asked: its own refusals obeyed, and a rate that the operator sets.

A node says "not so fast" with HTTP 429 (RFC 6585) and perhaps Retry-After (RFC 9110, section
10.2.3), or with a JSON-RPC error; -32005 is "limit exceeded" (EIP-1474), which nodes use for too
many results as well, and those a narrower question cures.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from chain.errors import RateLimited, RpcRefused

TOO_MANY_REQUESTS = 429
UNAVAILABLE = 503
LIMIT_EXCEEDED = frozenset({-32005, -32029, TOO_MANY_REQUESTS})
REST_SECONDS = 1.0
"""How long a node is left alone that does not say for how long."""
LONGEST_REST_SECONDS = 300.0
RATE_WORDS = re.compile(
    r"\brate\b|too many requests|requests? (limit|per)|per second|quota|capacity|compute units",
    re.IGNORECASE,
)
RESULT_WORDS = re.compile(r"result|range|block|response size|logs", re.IGNORECASE)


@dataclass(slots=True)
class _Use:
    """What one node was asked, by everybody here."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    free_at: float = 0.0
    open_at: float = 0.0
    eases_at: float = 0.0


_on_turn: ContextVar[Callable[[float], None] | None] = ContextVar("on_turn", default=None)


@contextmanager
def turns_told(tell: Callable[[float], None]) -> Iterator[None]:
    """Tell of every call that is made here, before it, how many seconds it waits for its turn."""
    token = _on_turn.set(tell)
    try:
        yield
    finally:
        _on_turn.reset(token)


class RateLimit:
    """What one node allows.

    Parameters
    ----------
    per_second
        Calls, each one of a batch counted; None where only the node's own refusals count.
    """

    def __init__(self, per_second: float | None = None) -> None:
        self._per_second = per_second
        self._use = _Use()
        self._waits = True

    def urgent(self) -> RateLimit:
        """Give the same limit for calls that do not wait for their turn; others wait for them."""
        limit = RateLimit(self._per_second)
        limit._use, limit._waits = self._use, False
        return limit

    @property
    def eases_at(self) -> float:
        """When urgent calls have had no more than half of the rate, by the monotonic clock."""
        return self._use.eases_at

    @property
    def most_at_once(self) -> int:
        """Calls that one batch may hold."""
        return sys.maxsize if self._per_second is None else max(int(self._per_second), 1)

    @contextmanager
    def spent(self, calls: int = 1) -> Iterator[None]:
        """Wait for our turn, make the calls, and remember when the node has had enough.

        Raises
        ------
        RateLimited
            The node wants to be left alone; nothing was sent, or it has just said so.
        """
        rest = self._use.open_at - time.monotonic()
        if rest > 0:
            raise RateLimited(f"the node wants to be left alone for {rest:.1f} s more", rest)
        pause = None if self._per_second is None else self._turn(calls, self._per_second)
        if (tell := _on_turn.get()) is not None:
            tell(pause or 0.0)
        if pause is not None and self._waits:
            time.sleep(pause)
        try:
            yield
        except RateLimited as limited:
            self._use.open_at = time.monotonic() + limited.retry_after
            raise

    def _turn(self, calls: int, per_second: float) -> float:
        """Return the seconds to wait; what was not used for a second is lost.

        Urgent calls wait for nobody. Whoever makes them leaves the others their half.
        """
        with self._use.lock:
            now = time.monotonic()
            self._use.free_at = max(self._use.free_at, now - 1.0) + calls / per_second
            if self._waits:
                return max(self._use.free_at - now, 0.0)
            self._use.eases_at = max(self._use.eases_at, now) + 2 * calls / per_second
            return 0.0


def http_limit(status: int, headers: Mapping[str, str]) -> RateLimited | None:
    """Return what a web server's refusal says, where it is one of asking too often."""
    after = headers.get("Retry-After")
    if status == TOO_MANY_REQUESTS or (status == UNAVAILABLE and after):
        return RateLimited(f"HTTP {status}: the node is asked too often", _seconds(after))
    return None


def refusal(method: str, code: int, message: str, data: str | None) -> RpcRefused | RateLimited:
    """Give the error for a node's own one: too many calls are not a refusal of this one."""
    if code == TOO_MANY_REQUESTS or (
        code in LIMIT_EXCEEDED and RATE_WORDS.search(message) and not RESULT_WORDS.search(message)
    ):
        return RateLimited(f"{method}: {message} ({code})", REST_SECONDS)
    return RpcRefused(method, code, message, data)


def _seconds(after: str | None) -> float:
    """Read Retry-After: seconds, or a date."""
    if after is None:
        return REST_SECONDS
    if after.strip().isdigit():
        return min(float(after), LONGEST_REST_SECONDS)
    try:
        due = parsedate_to_datetime(after)
    except ValueError:
        return REST_SECONDS
    if due.tzinfo is None:
        due = due.replace(tzinfo=UTC)
    rest = (due - datetime.now(UTC)).total_seconds()
    return min(max(rest, REST_SECONDS), LONGEST_REST_SECONDS)
