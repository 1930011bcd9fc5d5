"""What a JSON-RPC node, or what stands before it, does wrong: one answer for each kind of fault."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SEND = "eth_sendRawTransaction"
NONCE = "eth_getTransactionCount"
RECEIPT = "eth_getTransactionReceipt"
HEAD = "eth_blockNumber"
ESTIMATE = "eth_estimateGas"
INTERNAL = -32603
REFUSED = -32000


class Rpc(StrEnum):
    """Kinds of faults; `lost` ones never reach the node, after the others it has heard us."""

    LOST_TIMEOUT = "lost, no answer"
    TIMEOUT = "heard, no answer"
    RESET = "heard, connection reset"
    TOO_MANY = "lost, 429"
    SERVER_ERROR = "lost, 500"
    LATE_SERVER_ERROR = "heard, 500"
    HTML = "lost, 200 with HTML"
    TRUNCATED = "heard, half of the JSON"
    INTERNAL_ERROR = "lost, -32603"
    DROPPED = "heard, then dropped from the pool"
    DUPLICATED = "heard twice, second answer"
    ALREADY_KNOWN = "heard, already known"
    NONCE_TOO_LOW = "heard, nonce too low"
    LOST_NONCE_TOO_LOW = "lost, nonce too low"
    UNDERPRICED = "lost, underpriced"
    INTERNAL_NONCE = "heard, -32603 with nonce text"
    WRONG_HASH = "heard, another hash"
    NONCE_LOW = "nonce told too low"
    NONCE_HIGH = "nonce told too high"
    NO_RECEIPT = "null for a known receipt"
    STALE_HEAD = "head told too low"
    STALE_STATE = "estimated on an older block"
    REORDERED = "batch reordered"
    MISSING = "batch without one answer"
    PARTLY_FAILED = "batch with one error"
    MIXED_IDS = "batch with two ids exchanged"
    AWAY = "nobody there"


OF_SENDS = (
    *(Rpc.LOST_TIMEOUT, Rpc.TIMEOUT, Rpc.RESET, Rpc.TOO_MANY, Rpc.SERVER_ERROR, Rpc.HTML),
    *(Rpc.LATE_SERVER_ERROR, Rpc.TRUNCATED, Rpc.INTERNAL_ERROR, Rpc.DROPPED, Rpc.DUPLICATED),
    *(Rpc.ALREADY_KNOWN, Rpc.NONCE_TOO_LOW, Rpc.LOST_NONCE_TOO_LOW, Rpc.UNDERPRICED),
    *(Rpc.INTERNAL_NONCE, Rpc.WRONG_HASH),
)
OF_ANYTHING = (
    *(Rpc.TIMEOUT, Rpc.RESET, Rpc.TOO_MANY, Rpc.SERVER_ERROR, Rpc.HTML, Rpc.TRUNCATED),
    Rpc.INTERNAL_ERROR,
)
OF_BATCHES = (Rpc.REORDERED, Rpc.MISSING, Rpc.PARTLY_FAILED)
OF_METHODS = {
    Rpc.NONCE_LOW: NONCE,
    Rpc.NONCE_HIGH: NONCE,
    Rpc.NO_RECEIPT: RECEIPT,
    Rpc.STALE_HEAD: HEAD,
    Rpc.STALE_STATE: ESTIMATE,
}

Call = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over HTTP.

    Parameters
    ----------
    body
        None: nothing, the connection ends.
    delay_seconds
        Silence before that.
    """

    body: bytes | None
    status: int = 200
    content_type: str = "application/json"
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request, of one call or of a batch, and the node that could answer it.

    Parameters
    ----------
    hit
        Place among `calls` of the one that the fault is about.
    forward
        Hands the request on, and gives the body of the answer.
    instead
        Hands another call on in its place.
    control
        Asks the node something else.
    """

    calls: list[Call]
    is_batch: bool
    hit: int
    amount: int
    silence_seconds: float
    forward: Callable[[], bytes]
    instead: Callable[[Call], bytes]
    control: Callable[[str, list[Any]], Any]

    @property
    def call(self) -> Call:
        return self.calls[self.hit]

    def changed(self, change: Callable[[Any], Any]) -> Reply:
        """Answer with another result of the call that is meant."""
        answers = json.loads(self.forward())
        several = answers if isinstance(answers, list) else [answers]
        for answer in several:
            if answer.get("id") == self.call["id"] and "result" in answer:
                answer["result"] = change(answer["result"])
        return Reply(json.dumps(answers).encode())

    def refused(self, code: int, message: str) -> Reply:
        errors = [
            {"jsonrpc": "2.0", "id": call["id"], "error": {"code": code, "message": message}}
            for call in self.calls
        ]
        return Reply(json.dumps(errors if self.is_batch else errors[0]).encode())

    def answers(self) -> list[Any]:
        found = json.loads(self.forward())
        return found if isinstance(found, list) else [found]


def answer(kind: Rpc, exchange: Exchange, dice: random.Random) -> Reply:
    """Do the wrong thing."""
    if kind in {Rpc.LOST_TIMEOUT, Rpc.TOO_MANY, Rpc.SERVER_ERROR, Rpc.HTML, Rpc.INTERNAL_ERROR}:
        return _lost(kind, exchange)
    if kind in {Rpc.TIMEOUT, Rpc.RESET, Rpc.LATE_SERVER_ERROR, Rpc.TRUNCATED}:
        return _heard(kind, exchange)
    if kind in OF_SENDS:
        return _sent(kind, exchange, dice)
    if kind in {*OF_BATCHES, Rpc.MIXED_IDS}:
        return _batch(kind, exchange, dice)
    if kind == Rpc.STALE_STATE:
        head = int(exchange.control(HEAD, []), 16)
        call = exchange.call | {"params": [exchange.call["params"][0], hex(head - exchange.amount)]}
        return Reply(exchange.instead(call))
    changes: dict[Rpc, Callable[[Any], Any]] = {
        Rpc.NONCE_LOW: lambda told: hex(max(int(told, 16) - exchange.amount, 0)),
        Rpc.NONCE_HIGH: lambda told: hex(int(told, 16) + exchange.amount),
        Rpc.STALE_HEAD: lambda told: hex(max(int(told, 16) - exchange.amount, 0)),
        Rpc.NO_RECEIPT: lambda _: None,
    }
    return exchange.changed(changes[kind])


def _lost(kind: Rpc, exchange: Exchange) -> Reply:
    if kind == Rpc.LOST_TIMEOUT:
        return Reply(None, delay_seconds=exchange.silence_seconds)
    if kind == Rpc.TOO_MANY:
        return Reply(b'{"message":"Too Many Requests"}', status=429)
    if kind == Rpc.SERVER_ERROR:
        return Reply(b"", status=500)
    if kind == Rpc.HTML:
        return Reply(b"<html><body>502 Bad Gateway</body></html>", content_type="text/html")
    return exchange.refused(INTERNAL, "Internal error")


def _heard(kind: Rpc, exchange: Exchange) -> Reply:
    body = exchange.forward()
    if kind == Rpc.TIMEOUT:
        return Reply(None, delay_seconds=exchange.silence_seconds)
    if kind == Rpc.RESET:
        return Reply(None)
    if kind == Rpc.LATE_SERVER_ERROR:
        return Reply(b"", status=500)
    return Reply(body[: len(body) // 2])


def _sent(kind: Rpc, exchange: Exchange, dice: random.Random) -> Reply:
    refusals = {
        Rpc.LOST_NONCE_TOO_LOW: (REFUSED, "nonce too low"),
        Rpc.UNDERPRICED: (REFUSED, "replacement transaction underpriced"),
        Rpc.ALREADY_KNOWN: (REFUSED, "already known"),
        Rpc.NONCE_TOO_LOW: (REFUSED, "nonce too low: next nonce 7, tx nonce 6"),
        Rpc.INTERNAL_NONCE: (INTERNAL, "invalid nonce; got 6, expected 7"),
    }
    if kind in {Rpc.LOST_NONCE_TOO_LOW, Rpc.UNDERPRICED}:
        return exchange.refused(*refusals[kind])
    first = exchange.forward()
    if kind in refusals:
        return exchange.refused(*refusals[kind])
    if kind == Rpc.DROPPED:
        exchange.control("anvil_dropTransaction", [json.loads(first).get("result")])
        return Reply(first)
    if kind == Rpc.DUPLICATED:
        return Reply(exchange.forward())
    other = {"jsonrpc": "2.0", "id": exchange.call["id"], "result": "0x" + dice.randbytes(32).hex()}
    return Reply(json.dumps(other).encode())


def _batch(kind: Rpc, exchange: Exchange, dice: random.Random) -> Reply:
    answers = exchange.answers()
    if kind == Rpc.REORDERED:
        dice.shuffle(answers)
    elif kind == Rpc.MISSING:
        answers.pop(dice.randrange(len(answers)))
    elif kind == Rpc.MIXED_IDS:
        one, two = dice.sample(answers, 2)
        one["id"], two["id"] = two["id"], one["id"]
    else:
        place = dice.randrange(len(answers))
        error = {"code": REFUSED, "message": "header not found"}
        answers[place] = {"jsonrpc": "2.0", "id": answers[place].get("id"), "error": error}
    return Reply(json.dumps(answers).encode())
