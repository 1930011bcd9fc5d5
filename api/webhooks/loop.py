"""The loop of notices: told of what the chain did, published, and pushed to whoever wants them.

Any number of processes may run it: one at a time publishes, and a message is sent by whoever has
claimed it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta

import psycopg
import structlog
from sqlalchemy.exc import OperationalError

from api.webhooks.posting import Outcome, Poster
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.portfolio.telling import tell_holdings
from registry.webhook import outbox
from registry.webhook.outbox import Lane, Outgoing

log = structlog.get_logger()

PAUSE_SECONDS = 0.5
BACKOFF_SECONDS = 5.0
ROOM = {Lane.WELL: 32, Lane.FAILING: 8}
"""Tries at one moment; those of receivers that fail never take the others' room."""
LOOK_AT_CHAIN = timedelta(seconds=1)


class Notices:
    """One turn after another, on an event loop of its own.

    Parameters
    ----------
    chain_id
        The chain on which the platform stands.
    """

    def __init__(self, database: Database, vault: Vault, chain_id: int, poster: Poster) -> None:
        self._database = database
        self._vault = vault
        self._chain_id = chain_id
        self._poster = poster
        self._under_way: dict[Lane, Counter[str]] = {lane: Counter() for lane in Lane}
        self._tries: set[asyncio.Task[None]] = set()
        self._look_at = now()

    async def run(self, stop: Callable[[], bool]) -> None:
        """Take turns until `stop` says so, and end what is being sent."""
        while not stop():
            try:
                pause = PAUSE_SECONDS if not await self.turn() else 0.0
            except (OperationalError, psycopg.OperationalError) as fault:
                log.warning("loop_waits", loop="notices", reason=str(fault))
                pause = BACKOFF_SECONDS
            except Exception:
                # A bug: what is not told yet stays in its table, and is told later.
                log.exception("loop_fault", loop="notices")
                pause = BACKOFF_SECONDS
            await asyncio.sleep(pause)
        await self.finish()

    async def turn(self) -> bool:
        """Publish, and begin what can be sent; tell whether anything was published."""
        published = await asyncio.to_thread(self._publish)
        for lane in Lane:
            free = ROOM[lane] - self._under_way[lane].total()
            busy = dict(self._under_way[lane])
            if free > 0:
                for message in await asyncio.to_thread(self._claim, lane, free, busy):
                    self._begin(lane, message)
        return published

    async def finish(self) -> None:
        """Wait for what is being sent."""
        await asyncio.gather(*self._tries)
        await self._poster.close()

    def _publish(self) -> bool:
        if now() >= self._look_at:
            self._look_at = now() + LOOK_AT_CHAIN
            with self._database.transaction() as session:
                tell_holdings(session, self._chain_id)
        with self._database.transaction() as session:
            return outbox.publish_round(session) > 0

    def _claim(self, lane: Lane, free: int, busy: Mapping[str, int]) -> list[Outgoing]:
        with self._database.transaction() as session:
            return outbox.claim(session, self._vault, lane, free, busy)

    def _begin(self, lane: Lane, message: Outgoing) -> None:
        self._under_way[lane][message.owner] += 1
        task = asyncio.create_task(self._send(lane, message))
        self._tries.add(task)
        task.add_done_callback(self._tries.discard)

    async def _send(self, lane: Lane, message: Outgoing) -> None:
        try:
            outcome = await self._poster.post(message)
            await asyncio.to_thread(self._note, message, outcome)
        except (OperationalError, psycopg.OperationalError) as fault:
            # Not noted: its claim runs out, and it is sent once more.
            log.warning("webhook_not_noted", delivery=str(message.delivery_id), reason=str(fault))
        except Exception:
            log.exception("loop_fault", loop="webhooks", delivery=str(message.delivery_id))
        finally:
            self._under_way[lane] -= Counter([message.owner])

    def _note(self, message: Outgoing, outcome: Outcome) -> None:
        with self._database.transaction() as session:
            if outcome.fault is None:
                assert outcome.status is not None, "what was taken was answered"
                outbox.note_delivered(session, message.delivery_id, outcome.status)
            else:
                outbox.note_failed(
                    session,
                    message.delivery_id,
                    outcome.fault,
                    until=message.until,
                    status=outcome.status,
                    wait=outcome.wait,
                )


def run_notices(
    database: Database,
    vault: Vault,
    stop: threading.Event,
    *,
    chain_id: int,
    allow_loopback: bool,
) -> None:
    """Tell, publish and push until `stop` is set."""

    async def run() -> None:
        poster = Poster(allow_loopback=allow_loopback)
        await Notices(database, vault, chain_id, poster).run(stop.is_set)

    asyncio.run(run())
