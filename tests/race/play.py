"""One race: everybody orders at one moment, pays twice, and gets what they were told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from api.schemas.common import address_of
from registry.kernel.actor import Role
from tests.api.house import NOTICE, signed
from tests.crowd import Somebody
from tests.flaky import BREAKS, Answer, Break, Post
from tests.race.judge import Outcome, judge
from tests.race.scene import Scene, open_scene
from tests.race.stage import Stage

COPIES = 50
"""How often one of the buyers asks for the same, and the bank tells of their payment."""
TELLERS = 16
TOLD = "2026-07-28T09:00:00Z"


@dataclass(frozen=True, slots=True)
class Result:
    outcome: Outcome
    seconds: float
    killed: list[str]


def play(stage: Stage, log: Path, *, kill: bool) -> Result:
    """Run one race on a copy of the stage.

    Parameters
    ----------
    kill
        Kill the worker half way, twice.
    """
    began = time.monotonic()
    with open_scene(stage, log) as scene:
        answers = _order(scene)
        _pay(scene, [answer for answer in answers if answer.status == 201])
        _mint(scene, kill=kill)
        outcome = judge(stage, scene.node.url, scene.database.driver_url, answers)
        return Result(outcome, time.monotonic() - began, scene.killed)


def _order(scene: Scene) -> list[Answer]:
    """Let the first order many times on lines that break, and then everybody else, at once."""
    first, *others = scene.stage.sale.crowd
    post = _post(scene, first, "the same again")
    copies = _at_once([partial(post.until_answered, _breaks(n)) for n in range(COPIES)])
    posts = [_post(scene, who, f"order {number}") for number, who in enumerate(others)]
    answers = _at_once([each.until_answered for each in posts])
    # What the copies were told is one answer, or the judge counts it.
    told = {(copy.status, str(copy.body.get("id"))): copy for copy in copies}
    return [*told.values(), *answers]


def _post(scene: Scene, who: Somebody, key: str) -> Post:
    return Post(
        str(scene.house.client.base_url),
        f"/v1/offerings/{scene.stage.sale.offering_id}/orders",
        {"units": "1", "wallet": address_of(who.wallet)},
        {"Authorization": f"Bearer {scene.house.token(who.actor)}", "Idempotency-Key": key},
    )


def _pay(scene: Scene, sold: Sequence[Answer]) -> None:
    """Have the bank tell of each payment twice, and of the first one as often as it was ordered."""
    notices = [_notice(scene, answer.body) for answer in sold]
    told = [notice.until_answered for notice in notices for _ in range(2)]
    first = notices[0]
    copies = [partial(first.until_answered, _breaks(n)) for n in range(COPIES)]
    for answer in _at_once([*copies, *told], most=TELLERS):
        assert answer.status == 200, answer


def _notice(scene: Scene, order: Any) -> Post:
    body = {
        "bank_reference": f"RACE-{order['reference']}",
        "order_reference": order["reference"],
        "amount": order["amount"],
        "received_at": TOLD,
    }
    server = str(scene.house.client.base_url)
    return Post(server, NOTICE, body, signed(json.dumps(body).encode()))


def _mint(scene: Scene, *, kill: bool) -> None:
    closed = scene.house.caller(Role.COMPLIANCE).post(
        f"/v1/tokenizations/{scene.stage.sale.tokenization_id}/mint"
    )
    assert closed.status_code == 202, closed.text
    scene.run_worker()
    scene.settle(kill=kill)


def _breaks(number: int) -> tuple[Break, ...]:
    return (BREAKS[number % 4], BREAKS[number // 4 % 4])


def _at_once(calls: Sequence[Callable[[], Answer]], *, most: int | None = None) -> list[Answer]:
    """Make calls in threads of their own, all from one instant; or so many at a time."""
    start = threading.Barrier(len(calls) if most is None else 1)
    turns = threading.Semaphore(most or len(calls))
    found: dict[int, Answer] = {}

    def run(number: int) -> None:
        start.wait()
        with turns:
            found[number] = calls[number]()

    threads = [
        threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(calls))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(calls), "somebody was not answered"
    return [found[number] for number in range(len(calls))]
