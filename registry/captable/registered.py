"""With which identity, and of which country, a wallet was registered at a block.

Whoever has not changed since is told by `registered_wallet` alone; of the others the identity
registry's own events are folded, which are looked for by wallet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.models import EventKind, Token
from registry.captable.suites import WALLETS, WAS
from registry.captable.wallets import OF_WALLETS


@dataclass(frozen=True, slots=True)
class Registration:
    """What a token's identity registry said of a wallet; the country is ISO 3166-1 numeric."""

    identity: bytes
    country: int


Who = TypeVar("Who")
"""How a wallet is named: by its number, or by its address."""
Said = tuple[int, Who | None, Mapping[str, Any]]
"""What is folded of an event: its kind, its target, and what it has besides."""

_NOW = """
SELECT h.holder_no, h.address, w.block_number, w.identity, w.country
FROM holder h
LEFT JOIN registered_wallet w ON w.token_no = %(token)s AND w.holder_no = h.holder_no
WHERE h.address = ANY(%(addresses)s)
"""
# An update that names no wallet is of everybody with that identity: few, where there are any.
_KINDS = ", ".join(str(int(kind)) for kind in sorted(OF_WALLETS))
_SAID = f"""
SELECT kind, target, extra FROM (
  SELECT block_number, log_index, kind, target, extra FROM token_event
  WHERE token_no = %(token)s AND kind IN ({_KINDS})
    AND target = ANY(%(holders)s) AND block_number <= %(kept)s
  UNION ALL
  SELECT block_number, log_index, kind, target, extra FROM token_event
  WHERE token_no = %(token)s AND kind IN ({_KINDS})
    AND target IS NULL AND block_number <= %(kept)s
  UNION ALL
  SELECT block_number, log_index, kind, target, extra FROM token_event
  WHERE token_no = %(token)s AND kind = {EventKind.CONTROL:d} AND extra ? '{WAS}'
    AND extra ? '{WALLETS}' AND block_number <= %(kept)s) e
ORDER BY block_number, log_index
"""  # noqa: S608 - numbers of our own

# A new identity leaves the country as it was; another storage has whatever it has.
_COUNTRY_KINDS = ", ".join(
    str(int(kind)) for kind in sorted(OF_WALLETS - {EventKind.IDENTITY_UPDATED})
)
_SINCE = f"""
SELECT EXISTS (
  SELECT FROM token_event e JOIN holder h ON h.holder_no = e.target
  WHERE e.token_no = %(token)s AND h.address = %(address)s AND e.kind IN ({_COUNTRY_KINDS})
    AND (e.block_number, e.log_index) > (%(block)s, %(index)s)
) OR EXISTS (
  SELECT FROM token_event WHERE token_no = %(token)s AND kind = {EventKind.CONTROL:d}
    AND extra ? '{WAS}' AND (block_number, log_index) > (%(block)s, %(index)s))
"""  # noqa: S608 - numbers of our own


def is_registered_otherwise(
    session: Session, token: Token, address: bytes, *, after: tuple[int, int]
) -> bool:
    """Tell whether a wallet may have another country since a place, or is gone since.

    Parameters
    ----------
    after
        Number of a block, index of a log in it.
    """
    block, index = after
    where = {"token": token.token_no, "address": address, "block": block, "index": index}
    with cursor_of(session) as cursor:
        found = cursor.execute(_SINCE, where).fetchone()
    assert found is not None
    return bool(found[0])


def registered_at(
    session: Session, token: Token, block: AsOfBlock, addresses: Collection[bytes]
) -> dict[bytes, Registration]:
    """Return how wallets were registered at `block`, also of a branch that a reorg has taken.

    Returns
    -------
    dict
        Address to registration; whoever was not registered is left out.
    """
    values = {"token": token.token_no, "kept": block.kept, "addresses": list(addresses)}
    numbers: dict[int, bytes] = {}
    found: dict[int, Registration] = {}
    changed: list[int] = []
    with cursor_of(session) as cursor:
        for holder_no, address, since, identity, country in cursor.execute(_NOW, values):
            numbers[holder_no] = address
            if since is not None and since <= block.kept:
                found[holder_no] = Registration(identity, country)
            else:
                changed.append(holder_no)
        if changed:
            said = cursor.execute(_SAID, values | {"holders": changed}).fetchall()
            # What replaced everybody names those too who have changed since, and not after.
            names = {number: numbers[number] for number in changed}
            found |= _fold(names, {}, [(kind, target, extra or {}) for kind, target, extra in said])
    if block.lost is not None:
        lost = [
            (event["kind"], event["target"], event["extra"] or {})
            for event in block.lost.events(token.token_no)
            if event["kind"] in OF_WALLETS or WALLETS in (event["extra"] or {})
        ]
        found = _fold(numbers, found, lost)
    return {numbers[number]: told for number, told in found.items() if number in numbers}


def _fold(
    numbers: Mapping[int, bytes], known: Mapping[int, Registration], events: Iterable[Said[int]]
) -> dict[int, Registration]:
    """Fold events, of which those that replace everybody name wallets by their addresses."""
    by_address = {address: number for number, address in numbers.items()}
    return fold_registrations(known, events, name_of=by_address.get)


def fold_registrations(
    known: Mapping[Who, Registration],
    events: Iterable[Said[Who]],
    *,
    name_of: Callable[[bytes], Who | None] = lambda _: None,
) -> dict[Who, Registration]:
    """Fold events into how wallets were registered before them, as `projection` does in tables.

    Parameters
    ----------
    name_of
        Names a wallet by its address; None for those that are not asked for.
    """
    found = dict(known)
    for kind, who, extra in events:
        if kind == EventKind.IDENTITY_UPDATED:
            old, new = (bytes.fromhex(extra[name]) for name in ("old_identity", "identity"))
            for each, was in found.items():
                if each == who or (who is None and was.identity == old):
                    found[each] = replace(was, identity=new)
        elif WALLETS in extra:
            found = {
                name: Registration(bytes.fromhex(identity), country)
                for wallet, identity, country in extra[WALLETS]
                if (name := name_of(bytes.fromhex(wallet))) is not None
            }
        elif who is None:
            continue
        elif kind == EventKind.IDENTITY_REGISTERED:
            identity = bytes.fromhex(extra["identity"])
            found[who] = Registration(identity, extra["country"])
        elif kind == EventKind.IDENTITY_REMOVED:
            found.pop(who, None)
        elif kind == EventKind.COUNTRY_UPDATED and who in found:
            found[who] = replace(found[who], country=extra["country"])
    return found
