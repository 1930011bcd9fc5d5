"""What the node gives at most: the same logs read as raw bytes and thrown away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import requests

from bench.sync_peers.run import Task, read_task, report
from chain.node.wire import encode_call

LOGS_AT_ONCE = 24_000
LOG_BYTES = 400
"""Fewer than any log has."""


def main() -> None:
    task = read_task()
    session = requests.Session()

    def read(span: tuple[int, int]) -> int:
        first, last = span
        query = {"address": task.token, "fromBlock": hex(first), "toBlock": hex(last)}
        body = encode_call("eth_getLogs", query)
        headers = {"Content-Type": "application/json"}
        with session.post(task.url, data=body, headers=headers, stream=True) as response:
            return len(response.raw.read())

    started = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        size = sum(pool.map(read, _spans(task)))
    seconds = time.perf_counter() - started
    assert size > task.events * LOG_BYTES
    report(seconds)


def _spans(task: Task) -> Iterator[tuple[int, int]]:
    step = (task.head - task.deployed_at) * LOGS_AT_ONCE // task.events
    for first in range(task.deployed_at, task.head + 1, step):
        yield first, min(first + step - 1, task.head)


if __name__ == "__main__":
    main()
