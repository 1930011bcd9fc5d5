"""Server-sent events: how long a stream lasts, and the id after which it goes on."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated

from fastapi import Header
from fastapi.responses import StreamingResponse
from starlette.types import Send

HEARTBEAT_SECONDS = 15.0
LONGEST_SECONDS = 900.0
"""Then the stream ends, and whoever still may read it comes back with its last id."""
RETRY_MS = 1000

LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=100, description="Id of the last event you had"),
]


class TimedResponse(StreamingResponse):
    """A stream that ends in time, also where its reader has stopped reading."""

    media_type = "text/event-stream"

    async def stream_response(self, send: Send) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_SECONDS + HEARTBEAT_SECONDS):
                await super().stream_response(send)
