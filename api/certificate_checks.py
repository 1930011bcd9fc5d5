"""What of a certificate is not in its file: that its root stands on chain, and that it still holds.

Each check raises `PaperRefused` with the reason, or says what it has found.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx

from chain.contracts.decoding import Garbled
from chain.node.client import ChainClient, bytes_of, hex_of
from chain.proving.anchor_event import AnchorEvent, is_on_chain
from chain.proving.anchored import NOTHING, root_at
from registry.certificate.service import find_certificate
from registry.certificate.standing import Change, standing_of
from registry.kernel.db import Database
from registry.kernel.papers import PaperRefused

Record = dict[str, Any]
TIMEOUT_SECONDS = 15.0


def check_on_chain(record: Record, rpc_url: str, contract: str | None) -> list[str]:
    """Ask a node whether the root that the proof leads to stands on chain, since that block.

    Parameters
    ----------
    contract
        Where the verifier knows the anchor to be; without it, the file's own word is taken.

    Raises
    ------
    PaperRefused
        ``not_anchored``, ``contract_unknown``, ``root_not_on_chain``, ``anchor_not_on_chain``.
    ChainError
        The node is away, or serves another chain.
    """
    proof = record["proof"]
    if proof is None:
        raise PaperRefused("not_anchored", "its root was not on chain when it was handed out")
    anchor = proof["anchor"]
    place, chain_id = anchor["contract"], int(anchor["chain"].removeprefix("eip155:"))
    if contract is not None and contract.lower() != place.lower():
        raise PaperRefused("contract_unknown", f"its anchor is {place}, and not {contract}")
    client = ChainClient(rpc_url, chain_id)
    client.check()
    try:
        there = root_at(client, bytes_of(place.lower()), int(proof["tree_size"]))
    except Garbled:
        there = NOTHING  # no such contract stands there
    if there.hex() != proof["root"]:
        raise PaperRefused(
            "root_not_on_chain", f"{place} has {hex_of(there)} at {proof['tree_size']} entries"
        )
    if not is_on_chain(client, _event_of(proof)):
        raise PaperRefused(
            "anchor_not_on_chain",
            f"{anchor['tx_hash']} did not anchor it in block {anchor['block']['number']}",
        )
    return [f"the root stands on chain, at {place} of {anchor['chain']}"]


def _event_of(proof: Record) -> AnchorEvent:
    anchor, block = proof["anchor"], proof["anchor"]["block"]
    return AnchorEvent(
        place=bytes_of(anchor["contract"].lower()),
        size=int(proof["tree_size"]),
        root=bytes.fromhex(proof["root"]),
        tx_hash=bytes_of(anchor["tx_hash"]),
        block_number=int(block["number"]),
        block_hash=bytes_of(block["hash"]),
        mined_at=datetime.fromisoformat(block["time"]),
    )


def check_with_api(record: Record, api: str) -> list[str]:
    """Ask the register's public page whether it still holds.

    Raises
    ------
    PaperRefused
        ``superseded``, ``revoked``, ``content_altered``, ``unknown``, ``register_unreachable``.
    """
    envelope = record["envelope"]
    url = f"{api.rstrip('/')}/v1/certificates/{UUID(envelope['id'])}/verify"
    headers = {"Accept": "application/json"}
    query = {"sha256": envelope["content_sha256"]}
    try:
        answer = httpx.get(url, params=query, headers=headers, timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        raise PaperRefused("register_unreachable", f"{api} does not answer: {error}") from error
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise _unknown()
    try:
        said = answer.raise_for_status().json()
        state, changes, block = said["state"], said["changes"], said["block"]
        degraded = block["degraded"] if block else None
    except (httpx.HTTPError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise PaperRefused(
            "register_unreachable", f"{api} answers with {answer.status_code}"
        ) from error
    told = [_sentence(each["cause"], each["by"], each["at"]) for each in changes]
    return _judge(state, told, degraded)


def check_with_database(record: Record, database: Database) -> list[str]:
    """Ask the register's database whether it still holds.

    Raises
    ------
    PaperRefused
        ``superseded``, ``revoked``, ``content_altered``, ``unknown``, ``register_unreachable``.
    """
    envelope = record["envelope"]
    with database.reading() as session:
        found = find_certificate(session, UUID(envelope["id"]))
        if found is None:
            raise _unknown()
        if found.content_sha256.hex() != envelope["content_sha256"]:
            return _judge("OTHER_CONTENT", [])
        standing = standing_of(session, found)
    degraded = standing.block.degraded if standing.block else None
    return _judge(standing.state, [_told(change) for change in standing.changes], degraded)


def _judge(state: str, changes: list[str], degraded: str | None = None) -> list[str]:
    if degraded is not None and state != "OTHER_CONTENT":
        raise PaperRefused(
            "register_unreachable", f"the register does not rely on what it has read: {degraded}"
        )
    if state == "VALID":
        return ["it still holds: nothing has superseded it"]
    if state == "OTHER_CONTENT":
        raise PaperRefused(
            "content_altered", "the register has issued this number with another content"
        )
    said = "; ".join(changes)
    raise PaperRefused(state.lower(), f"it is {state.lower()}: {said}")


def _told(change: Change) -> str:
    return _sentence(change.cause, change.by, change.at.isoformat() if change.at else None)


def _sentence(cause: str, by: str | None, at: str | None) -> str:
    parts = [cause, f"by {by}" if by else "", f"since {at}" if at else ""]
    return " ".join(part for part in parts if part)


def _unknown() -> PaperRefused:
    return PaperRefused("unknown", "the register has issued no certificate of this number")
