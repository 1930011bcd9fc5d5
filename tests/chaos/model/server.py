"""The model's node over real HTTP, with the faults of the way there."""

from __future__ import annotations

import contextlib
import json
import random
from contextlib import AbstractContextManager
from typing import Any

from tests.chaos.faulty_rpc import Answering, FaultyRpc
from tests.chaos.model.node import Node
from tests.chaos.rpc_faults import Call


class ModelServer(FaultyRpc):
    """Serves one node after the other at one address.

    Parameters
    ----------
    silence_seconds
        As `FaultyRpc`.
    """

    def __init__(self, silence_seconds: float) -> None:
        self._node: Node | None = None
        super().__init__(random.Random(0), silence_seconds)

    def serve(self, node: Node, seed: int) -> None:
        self.heal()
        self.met.clear()
        self.heard = 0
        self._dice = random.Random(f"way {seed}")
        self._node = node

    def connected(self) -> AbstractContextManager[Answering]:
        return contextlib.nullcontext(self)

    def notice(self, calls: list[Call]) -> None:
        """Remember nothing: what is sent to a model is of no interest."""

    def post(self, asked: Any) -> bytes:
        node = self._node
        if node is None:
            raise ConnectionRefusedError("no node is served yet")
        several = isinstance(asked, list)
        answers = [node.answer(call) for call in (asked if several else [asked])]
        return json.dumps(answers if several else answers[0]).encode()

    def control(self, method: str, params: list[Any]) -> Any:
        raise AssertionError(f"a reader of the chain has no fault that needs {method} {params}")
