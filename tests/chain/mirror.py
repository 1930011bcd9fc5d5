"""A node that stands in front of another one over HTTP, and lags, lies or refuses as told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import requests

from tests.chain.nodes import Node

BY_NUMBER = {"eth_getBlockByNumber": 0, "eth_call": 1, "eth_getTransactionCount": 1}

Lie = Callable[[dict[str, Any], Any], Any]
"""From a request and its true result, what is answered."""


class Mirror:
    """One of several nodes of the same chain.

    Parameters
    ----------
    node
        Who tells it the truth.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.held_at: int | None = None
        """The newest block that it knows."""
        self.lie: Lie = lambda _, result: result
        self.refuses: dict[str, dict[str, Any]] = {}
        """By method, the error that it answers whatever is true."""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.delay = 0.0
        self.asked: list[str] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                time.sleep(mirror.delay)
                single = isinstance(body, dict)
                said = [mirror.answer(request) for request in ([body] if single else body)]
                content = json.dumps(said[0] if single else said).encode()
                self.send_response(mirror.status)
                self.send_header("Content-Length", str(len(content)))
                for name, value in mirror.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def count(self, method: str) -> int:
        return self.asked.count(method)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(request["method"])
        told = requests.post(self.node.url, json=self._as_held(request), timeout=20).json()
        if "result" in told:
            said = self.lie(request, self._only_known(request["method"], told.pop("result")))
            told |= said if isinstance(said, dict) and "error" in said else {"result": said}
        if request["method"] in self.refuses:
            told = {"jsonrpc": "2.0", "error": self.refuses[request["method"]]}
        told["id"] = request["id"]
        return dict(told)

    def _as_held(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask for the block at which it is held, where it is asked for its newest one."""
        place = BY_NUMBER.get(request["method"])
        if self.held_at is None:
            return request
        if place is None or request["params"][place] != "latest":
            return request
        params = list(request["params"])
        params[place] = hex(self.held_at)
        return request | {"params": params}

    def _only_known(self, method: str, result: Any) -> Any:
        """Take away blocks, receipts and logs that it has not seen yet."""
        if self.held_at is None:
            return result
        if method == "eth_blockNumber":
            return hex(min(int(result, 16), self.held_at))
        if isinstance(result, list):
            return [entry for entry in result if self._only_known(method, entry) is not None]
        if isinstance(result, dict):
            number = result.get("number", result.get("blockNumber"))
            return result if number is None or int(number, 16) <= self.held_at else None
        return result


def of_another_branch(above: int) -> Lie:
    """Give the blocks above a height other hashes, as on another branch."""

    def lie(_: dict[str, Any], result: Any) -> Any:
        if not isinstance(result, dict) or "parentHash" not in result:
            return result
        number = int(result["number"], 16)
        changed = dict(result)
        if number > above:
            changed["hash"] = forged(result["hash"])
        if number > above + 1:
            changed["parentHash"] = forged(result["parentHash"])
        return changed

    return lie


def forged(digest: str) -> str:
    return "0x" + digest[2:][::-1]


def without_receipts(request: dict[str, Any], result: Any) -> Any:
    return None if request["method"] == "eth_getTransactionReceipt" else result


def a_receipt_for_everything(request: dict[str, Any], result: Any) -> Any:
    """Say that every transaction is in the first block."""
    if request["method"] != "eth_getTransactionReceipt":
        return result
    return {
        "transactionHash": request["params"][0],
        "blockNumber": "0x1",
        "blockHash": "0x" + "77" * 32,
        "status": "0x1",
        "gasUsed": "0x5208",
        "logs": [],
    }


def of_chain(number: int) -> Lie:
    def lie(request: dict[str, Any], result: Any) -> Any:
        return hex(number) if request["method"] == "eth_chainId" else result

    return lie
