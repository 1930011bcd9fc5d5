"""Requests as fast as they are answered, or at a rate, from a process of its own.

`python -m bench.load` reads a `Load` as JSON from its standard input and writes what it saw to its
standard output. It speaks just enough HTTP/1.1 for the API's answers: a client that understands
more takes longer for a request than the API does.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field

from bench.timing import percentile

READ_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Load:
    """What to ask, and how often.

    Parameters
    ----------
    requests
        Heads without their end, each with the body; taken in turn.
    per_s
        Begin one so often, whether or not the others are answered; 0: each connection asks again
        as soon as it is answered.
    run
        Where not empty, each request has a new Idempotency-Key that begins with it.
    """

    port: int
    requests: list[tuple[str, str]]
    seconds: float
    connections: int
    per_s: float = 0
    run: str = ""


@dataclass(slots=True)
class Seen:
    """How long answers took, in seconds, and what they were."""

    took: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """What a load saw.

    Parameters
    ----------
    statuses
        How many answers had which status.
    """

    per_s: float
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]


def apply_load(load: Load) -> Answered:
    """Let another process ask."""
    ran = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(load)), capture_output=True, text=True, check=True,
        timeout=load.seconds + 60,
    )  # fmt: skip
    return Answered(**json.loads(ran.stdout))


class Crowd:
    """Connections that ask."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._numbers = itertools.count()
        self._due: asyncio.Queue[float | None] = asyncio.Queue()
        self.seen = Seen()

    async def ask(self) -> Seen:
        """Ask until the time is over and everything is answered."""
        load = self._load
        # Before the first request is due: to open a hundred connections takes longer than it.
        opened = [await self._connect() for _ in range(load.connections)]
        begun = time.perf_counter()
        ask_on = self._ask_when_due if load.per_s else self._ask_again
        clients = [asyncio.create_task(ask_on(*connection)) for connection in opened]
        for number in range(int(load.seconds * load.per_s)):
            at = begun + number / load.per_s
            await asyncio.sleep(max(0, at - time.perf_counter()))
            self._due.put_nowait(at)
        for _ in clients:
            self._due.put_nowait(None)
        await asyncio.gather(*clients)
        self.seen.seconds = time.perf_counter() - begun
        return self.seen

    async def _ask_again(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends_at = time.perf_counter() + self._load.seconds
        while (started := time.perf_counter()) < ends_at:
            await self._one(reader, writer, started)
        writer.close()

    async def _ask_when_due(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # From when it was due: who waits for a connection waits for the API.
        while (due := await self._due.get()) is not None:
            await self._one(reader, writer, due)
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._load.port, limit=READ_BYTES)

    async def _one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, started: float
    ) -> None:
        number = next(self._numbers)
        head, body = self._load.requests[number % len(self._load.requests)]
        key = f"Idempotency-Key: {self._load.run}-{number}\r\n" if self._load.run else ""
        writer.write(f"{head}{key}\r\n{body}".encode())
        status = await _answer(reader)
        self.seen.took.append(time.perf_counter() - started)
        self.seen.statuses[status] += 1


async def _answer(reader: asyncio.StreamReader) -> int:
    """Read one answer to its end and return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.index(b"content-length: ") + 16
    await reader.readexactly(int(head[length : head.index(b"\r", length)]))
    return int(head[9:12])


def main() -> None:
    load = Load(**json.loads(sys.stdin.read()))
    seen = asyncio.run(Crowd(load).ask())
    answered = Answered(
        per_s=len(seen.took) / seen.seconds,
        p50_ms=percentile(seen.took, 50) * 1000,
        p99_ms=percentile(seen.took, 99) * 1000,
        statuses={str(status): count for status, count in seen.statuses.items()},
    )
    print(json.dumps(asdict(answered)))


if __name__ == "__main__":
    main()
