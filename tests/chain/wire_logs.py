"""Logs as a node writes them, and back: what a test changes in an answer on its way."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chain.node.wire import WireLog, wire_log


def told(logs: Iterable[msgspec.Raw]) -> list[WireLog]:
    return [wire_log(entry) for entry in logs]


def written(logs: Iterable[WireLog]) -> list[msgspec.Raw]:
    return [msgspec.Raw(msgspec.json.encode(entry)) for entry in logs]
