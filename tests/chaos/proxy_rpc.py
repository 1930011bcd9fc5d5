"""A real node's JSON-RPC, with faults where they are ordered for whoever is put behind it."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from eth_utils.crypto import keccak

from tests.chaos.faulty_rpc import FaultyRpc
from tests.chaos.rpc_faults import SEND, Call

UPSTREAM_SECONDS = 20.0


class RpcProxy(FaultyRpc):
    """Stands before one node.

    Parameters
    ----------
    upstream
        The node's address.
    seed, silence_seconds
        As `FaultyRpc`.
    """

    def __init__(self, upstream: str, *, seed: int, silence_seconds: float) -> None:
        self._upstream = urlsplit(upstream)
        self.raws: dict[str, bytes] = {}
        """Every signed transaction that reached it, by hash."""
        super().__init__(random.Random(seed), silence_seconds)

    def notice(self, calls: list[Call]) -> None:
        for call in calls:
            if call["method"] == SEND:
                raw = bytes.fromhex(call["params"][0].removeprefix("0x"))
                self.raws["0x" + keccak(raw).hex()] = raw

    @contextlib.contextmanager
    def connected(self) -> Iterator[_Upstream]:
        assert self._upstream.hostname is not None
        connection = http.client.HTTPConnection(
            self._upstream.hostname, self._upstream.port, timeout=UPSTREAM_SECONDS
        )
        try:
            yield _Upstream(connection)
        finally:
            connection.close()


class _Upstream:
    """The node, over one connection."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def post(self, asked: Any) -> bytes:
        body = json.dumps(asked).encode()
        try:
            self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
            return self._connection.getresponse().read()
        except BaseException:
            self._connection.close()
            raise

    def control(self, method: str, params: list[Any]) -> Any:
        call = {"jsonrpc": "2.0", "id": 0, "method": method, "params": params}
        return json.loads(self.post(call)).get("result")
