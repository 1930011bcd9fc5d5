"""New blocks as the node announces them, by WebSocket; each is only a hint to look (ADR 0034).

`eth_subscribe` of ``newHeads`` (execution-apis) costs neither side anything while nothing happens.
What is missed, repeated or made up costs no data: whoever waits here looks for itself, and also
looks now and then when nothing was announced. While there is no subscription, it looks often.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import structlog
from websockets.exceptions import InvalidURI, WebSocketException
from websockets.sync.client import connect
from websockets.sync.connection import Connection

log = structlog.get_logger()

SUBSCRIBE = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
)
OPEN_SECONDS = 5.0
CLOSE_SECONDS = 0.3
"""How long a farewell may take: anvil gives none."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
NOTICE_SECONDS = 0.5
"""The longest that somebody who waits does not notice that it shall stop."""
SILENT_BLOCKS = 2
"""So many blocks in a row that were not announced make a subscription a dead one."""


def announcing(rpc_urls: str, ws_urls: str | None) -> list[str]:
    """Give the addresses at which the nodes announce blocks.

    Parameters
    ----------
    rpc_urls
        RPC_URL; without anything else its addresses are tried over WebSocket.
    ws_urls
        RPC_WS_URL.
    """
    if ws_urls == "off":
        return []
    if ws_urls is not None:
        return [url.strip() for url in ws_urls.split(",") if url.strip()]
    # http becomes ws, https becomes wss.
    return [f"ws{url.strip()[4:]}" for url in rpc_urls.split(",") if url.strip().startswith("http")]


class Heads:
    """Announcements of new blocks, from as many nodes as there are.

    Parameters
    ----------
    urls
        ws or wss; without any, waiting is all there is.
    on_head
        Told of every announcement, before whoever waits.
    """

    def __init__(
        self, urls: Sequence[str], stop: threading.Event, on_head: Callable[[], None]
    ) -> None:
        self._stop = stop
        self._on_head = on_head
        self._announced = threading.Event()
        self._closed = threading.Event()
        self._sockets: dict[str, Connection] = {}
        self._silent = 0
        self._was_told, self._was_found = True, False
        for url in urls:
            threading.Thread(target=self._follow, args=(url,), name="heads", daemon=True).start()

    @property
    def is_live(self) -> bool:
        """Whether a node announces its blocks to us at the moment."""
        return bool(self._sockets)

    def wait(self, seconds: float) -> None:
        """Sleep until a block is announced, or the time is up."""
        self._judge_silence()
        deadline = time.monotonic() + seconds
        self._was_told = self._was_found = False
        while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            if self._announced.wait(min(left, NOTICE_SECONDS)):
                self._was_told = True
                break
        # Before anybody looks: what is announced from now on is looked at after that.
        self._announced.clear()

    def found(self) -> None:
        """Take note that there was a new block, whether it was announced or not."""
        self._was_found = True

    def _judge_silence(self) -> None:
        """Open subscriptions anew that let blocks pass unannounced."""
        if self._was_told:
            self._silent = 0
        elif self._was_found and self.is_live:
            self._silent += 1
        if self._silent >= SILENT_BLOCKS:
            log.warning("heads_silent", blocks=self._silent)
            self._silent = 0
            self._hang_up()

    def close(self) -> None:
        self._closed.set()
        self._hang_up()

    def _hang_up(self) -> None:
        for socket in list(self._sockets.values()):
            socket.close()

    def _follow(self, url: str) -> None:
        """Keep a subscription, and open it anew whenever it is lost."""
        name, pause = urlsplit(url).hostname, FIRST_PAUSE_SECONDS
        while not self._closed.is_set():
            try:
                self._listen(url)
                reason = "it was closed"
            except InvalidURI:
                log.warning("heads_url_unusable", node=name)
                return
            except (WebSocketException, OSError, ValueError) as fault:
                reason = f"{type(fault).__name__}: {fault}"
            if self._sockets.pop(url, None) is not None:
                pause = FIRST_PAUSE_SECONDS
                self._tell()  # what came meanwhile was perhaps not announced
            if not self._closed.is_set():
                log.info("heads_lost", node=name, reason=reason, again_in=pause)
            self._closed.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _listen(self, url: str) -> None:
        """Subscribe, and pass on what is announced until the connection ends.

        Raises
        ------
        WebSocketException, OSError, ValueError
            There is no connection, it was lost, or the node gives no subscription.
        """
        with connect(
            url, open_timeout=OPEN_SECONDS, close_timeout=CLOSE_SECONDS, compression=None
        ) as socket:
            socket.send(SUBSCRIBE)
            answer = json.loads(socket.recv(OPEN_SECONDS))
            if not isinstance(answer, dict) or not isinstance(answer.get("result"), str):
                raise WebSocketException("the node gives no subscription")
            self._sockets[url] = socket
            log.info("heads_live", node=urlsplit(url).hostname)
            self._tell()
            for _ in socket:
                self._tell()
                if self._closed.is_set():
                    return

    def _tell(self) -> None:
        self._on_head()
        self._announced.set()
