"""A token that gets another identity registry, storage or compliance: whom to hear from then on.

It is read by itself from then on, until it has joined its chain again (`chain.sync.catch_up`): what
the new contract had been told may be long, and concerns nobody else. The event of the change is
kept with the suite before and after it, and with what the new contract had been told by then, which
no later log repeats: who is registered, which modules are bound. So both are folded from events,
and taken back with them (`registry.captable.suites`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from chain.contracts.abi import contract
from chain.node.client import bytes_of, hex_of
from chain.sync.watched import Part, storage_part
from registry.captable.events import ProjectedEvent, ProjectedToken
from registry.captable.models import EventKind
from registry.captable.registered import Registration, fold_registrations
from registry.captable.suites import MODULES, SUITE, WALLETS, WAS

Told = Callable[[bytes, Part, int], Sequence[ProjectedEvent]]
"""Gives what a contract said as a part of a token's suite, up to a block."""
ToldBy = Callable[[bytes, Part, int, bytes], Sequence[ProjectedEvent]]
"""The same, given the hash of that block too."""


class SuiteChanges(Exception):
    """A token gets another contract in a range of its chain: it is to be read by itself.

    Parameters
    ----------
    address
        Of the token.
    """

    def __init__(self, address: bytes) -> None:
        super().__init__(f"{hex_of(address)} gets another registry, storage or compliance")
        self.address = address


_CHANGING = {
    ("Token", "IdentityRegistryAdded"): ("identityRegistry", "identity_registry"),
    ("Token", "ComplianceAdded"): ("compliance", "compliance"),
    ("IdentityRegistry", "IdentityStorageSet"): ("identityStorage", "identity_storage"),
}
TOPICS = frozenset(hex_of(contract(name).events[event].topic) for name, event in _CHANGING)


def suite_after(suite: ProjectedToken, event: ProjectedEvent) -> ProjectedToken | None:
    """Give the suite of a token after an event of its control; None where it is as before.

    The storage of a registry that is new is not known by it yet.
    """
    extra = event.extra or {}
    if event.kind != EventKind.CONTROL:
        return None
    if (extra["contract"], extra["event"]) not in _CHANGING:
        return None
    argument, what = _CHANGING[extra["contract"], extra["event"]]
    is_unknown = what == "identity_storage" and suite.identity_storage is None
    if is_unknown and event.block_number == suite.block_number:
        return None  # deployed with it
    value = bytes_of(extra["said"][argument])
    if getattr(suite, what) == value:
        return None
    changed: dict[str, Any] = {what: value}
    return replace(suite, **changed)


def told_change(
    was: ProjectedToken, now: ProjectedToken, event: ProjectedEvent, told: Told
) -> tuple[ProjectedEvent, ProjectedToken]:
    """Add what it changed to an event; give it, and the suite as it is from then on."""
    number = event.block_number
    extra: dict[str, Any] = dict(event.extra or {})
    if now.identity_registry != was.identity_registry:
        now = replace(now, identity_storage=_storage_of(now, number, told))
    if now.compliance != was.compliance:
        extra["said"] = extra["said"] | {MODULES: ", ".join(_modules_of(now, number, told))}
    elif now.identity_storage is None or now.identity_storage != was.identity_storage:
        extra[WALLETS] = [
            [wallet.hex(), found.identity.hex(), found.country]
            for wallet, found in sorted(_wallets_of(now, number, told).items())
        ]
    extra |= {WAS: _written(was), SUITE: _written(now)}
    return msgspec.structs.replace(event, extra=extra), now


def _written(suite: ProjectedToken) -> dict[str, str | None]:
    storage = suite.identity_storage
    return {
        "identity_registry": suite.identity_registry.hex(),
        "identity_storage": None if storage is None else storage.hex(),
        "compliance": suite.compliance.hex(),
    }


def _storage_of(suite: ProjectedToken, number: int, told: Told) -> bytes | None:
    """Return the storage of a registry at a block; None where it never told of one."""
    part = Part(suite.address, "IdentityRegistry")
    for event in reversed(told(suite.identity_registry, part, number)):
        if (event.extra or {}).get("event") == "IdentityStorageSet":
            return bytes_of((event.extra or {})["said"]["identityStorage"])
    return None


def _wallets_of(suite: ProjectedToken, number: int, told: Told) -> dict[bytes, Registration]:
    """Fold who is registered for a token at the end of a block."""
    address, part = storage_part(suite)
    said = told(address, part, number)
    return fold_registrations({}, ((each.kind, each.target, each.extra or {}) for each in said))


def _modules_of(suite: ProjectedToken, number: int, told: Told) -> list[str]:
    """Name the modules that a compliance has at the end of a block."""
    bound: dict[str, None] = {}
    for event in told(suite.compliance, Part(suite.address, "ModularCompliance"), number):
        extra = event.extra or {}
        if extra["event"] == "ModuleAdded":
            bound[extra["said"]["module"]] = None
        elif extra["event"] == "ModuleRemoved":
            bound.pop(extra["said"]["module"], None)
    return list(bound)
