"""One of several nodes: whether it is asked at the moment, and why not."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

import structlog

from chain.node.answers import Block
from chain.node.client import ChainClient
from chain.node.limits import RateLimit

log = structlog.get_logger()

PROBE_SECONDS = 3.0
"""How long a node may take to tell its head; a slower one holds nobody up."""
CHAIN_SECONDS = 10.0
"""How often it is asked for its chain; and whenever it comes back."""
FIRST_REST_SECONDS = 2.0
LONGEST_REST_SECONDS = 120.0
FORGIVEN_AFTER_SECONDS = 300.0
"""How long it must have been good, after its last rest, for the next one to be short again."""
SLOW_SECONDS = 60.0
"""For so long one is asked last that others were not made to wait for."""
THREADS_EACH = 16
"""What one node can use of ours; more questions wait for each other."""
PROBES_EACH = 2
"""What takes long must not keep anybody from hearing its head."""


class NodeState(StrEnum):
    """How a node stands; every other state than the first three leaves it out for a while."""

    HEALTHY = "healthy"
    DISAGREES = "disagrees"
    """No majority says who is right."""
    AHEAD = "ahead"
    """It claims blocks that too few others have; nothing of them is believed."""
    UNAVAILABLE = "unavailable"
    RATE_LIMITED = "rate_limited"
    BEHIND = "behind"
    OTHER_BRANCH = "other_branch"
    OTHER_CHAIN = "other_chain"
    INCONSISTENT = "inconsistent"


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What is told of a node.

    Parameters
    ----------
    position
        Its place in RPC_URL, from 1.
    name
        Host and port; the rest of the address may be a secret.
    """

    position: int
    name: str
    state: NodeState
    detail: str
    height: int


class PooledNode:
    """A node, and what is known of it.

    Parameters
    ----------
    position
        Its place in RPC_URL, from 1.
    """

    def __init__(
        self, position: int, url: str, chain_id: int, timeout: float, per_second: float | None
    ) -> None:
        limit = RateLimit(per_second)
        self.position = position
        self.client = ChainClient(url, chain_id, timeout_seconds=timeout, limit=limit)
        self.probe = ChainClient(
            url, chain_id, timeout_seconds=min(PROBE_SECONDS, timeout), limit=limit.urgent()
        )
        parts = urlsplit(url)
        self.name = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        # Keys of hosted nodes stand in the path; errors of HTTP repeat it.
        place = parts.path + (f"?{parts.query}" if parts.query else "")
        self._secrets = [url, *([place] if len(place) > 1 else []), *filter(None, [parts.password])]
        self.height = 0
        self.state = NodeState.HEALTHY
        self.detail = ""
        self._limit = limit
        self.asking = ThreadPoolExecutor(THREADS_EACH, f"node{position}")
        self.probing = ThreadPoolExecutor(PROBES_EACH, f"probe{position}")
        self._failures = 0
        self._back_at = self._check_at = time.monotonic()
        self._disputed_until = self._slow_until = self._check_at

    @property
    def is_asked(self) -> bool:
        return time.monotonic() >= self._back_at

    @property
    def is_slow(self) -> bool:
        """Whether others were faster, not long ago."""
        return time.monotonic() < self._slow_until

    @property
    def eases_at(self) -> float:
        """When its head may be asked for again, for as often as it may be asked at all."""
        return self._limit.eases_at

    def look(self) -> Block:
        """Return its head, now and then after making sure of its chain."""
        if time.monotonic() >= self._check_at:
            self.probe.check()
            self._check_at = time.monotonic() + CHAIN_SECONDS
        return self.probe.head()

    def leave_out(self, state: NodeState, detail: str, seconds: float | None = None) -> None:
        """Ask it nothing for a while: longer each time, until it has been good for long.

        What it was asked before it was left out, and fails now, is the same outage.
        """
        now = time.monotonic()
        if now < self._back_at:
            return
        if now - self._back_at > FORGIVEN_AFTER_SECONDS:
            self._failures = 0
        if seconds is None:
            seconds = min(FIRST_REST_SECONDS * 2**self._failures, LONGEST_REST_SECONDS)
            self._failures += 1
        self._back_at, self._check_at = now + seconds, now
        for secret in self._secrets:
            detail = detail.replace(secret, "…")
        self._turn(state, detail, seconds=seconds)

    def is_overtaken(self) -> None:
        """Take note that others were enough while it took long."""
        self._slow_until = time.monotonic() + SLOW_SECONDS

    def is_good(self) -> None:
        if time.monotonic() >= self._disputed_until:
            self._turn(NodeState.HEALTHY, "")

    def is_ahead(self, detail: str) -> None:
        self._turn(NodeState.AHEAD, detail)

    def disagrees(self, detail: str, seconds: float = 0.0) -> None:
        """Tell that it and another one contradict each other, for some time whatever it says."""
        self._disputed_until = max(self._disputed_until, time.monotonic() + seconds)
        self._turn(NodeState.DISAGREES, detail)

    def status(self) -> NodeStatus:
        return NodeStatus(self.position, self.name, self.state, self.detail, self.height)

    def _turn(self, state: NodeState, detail: str, **more: float) -> None:
        if state != self.state:
            tell = log.info if state is NodeState.HEALTHY else log.warning
            tell(
                "node_" + state.value, node=self.name, position=self.position, detail=detail, **more
            )
        self.state, self.detail = state, detail
