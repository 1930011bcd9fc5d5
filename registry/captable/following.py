"""What a program that follows a chain has to know before it reads on, by one statement.

It is asked before every block. A statement for each thing, with its round trip and what the ORM
makes of it, took longer than the block's logs take to come, to be checked and to be decoded.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, Cursor

from registry.captable.events import ProjectedToken
from registry.captable.models import EventKind


@dataclass(frozen=True, slots=True)
class Followed:
    """A chain as it is followed, all of it at one moment.

    Parameters
    ----------
    cursor
        Number and hash of the last block that is projected; None before the first.
    platform
        Contracts of the platform, of those that were asked for, by their names.
    contracts
        The platform's contracts whose events go with the chain: address and name.
    tokens
        Those that are projected together with the chain.
    agents
        Who may act on a token now, by its own events: address of the token, of the agent.
    """

    cursor: tuple[int, bytes] | None
    platform: dict[str, bytes]
    contracts: dict[bytes, str]
    tokens: list[ProjectedToken]
    agents: list[tuple[bytes, bytes]]


# Transfers are left out for the planner: all of these events are in the small index. Their kind is
# written out: of one that is given later, a plan that is kept could not tell that they are.
# In the order of addresses, since an update moves a row: read twice it is the same, where nothing
# changed.
_STATEMENT = f"""
SELECT 'cursor', NULL, hash, NULL::bytea, NULL::bytea, NULL::bytea, number
FROM sync_cursor WHERE chain_id = %(chain)s
UNION ALL
SELECT 'platform', name, address, NULL, NULL, NULL, block_number
FROM platform_contract WHERE chain_id = %(chain)s AND name = ANY(%(names)s)
UNION ALL
SELECT 'contract', name, address, NULL, NULL, NULL, block_number
FROM followed_contract WHERE chain_id = %(chain)s AND caught_up_to IS NULL
UNION ALL
SELECT 'token', NULL, address, identity_registry, identity_storage, compliance, block_number
FROM token WHERE chain_id = %(chain)s AND caught_up_to IS NULL AND refusal IS NULL
UNION ALL
SELECT 'agent', NULL, token, agent, NULL, NULL, block_number FROM (
  SELECT DISTINCT ON (e.token_no, e.target) t.address AS token, h.address AS agent, e.kind,
    e.block_number
  FROM token t JOIN token_event e USING (token_no) JOIN holder h ON h.holder_no = e.target
  WHERE t.chain_id = %(chain)s AND e.kind <> {EventKind.TRANSFER}
    AND e.kind IN ({EventKind.AGENT_ADDED}, {EventKind.AGENT_REMOVED}) {{since}}
  ORDER BY e.token_no, e.target, e.block_number DESC, e.log_index DESC) AS newest
WHERE kind = {EventKind.AGENT_ADDED}
ORDER BY 1, 3, 4
"""  # noqa: S608 - numbers of our own
_FOLLOWED = _STATEMENT.format(since="").encode()
_FOLLOWED_THEN = _STATEMENT.format(since="AND e.block_number <= %(then)s").encode()


def read_followed(
    asking: Connection[Any] | Cursor[Any],
    chain_id: int,
    names: Collection[str],
    *,
    agents_after: int | None = None,
) -> Followed:
    """Read it.

    Parameters
    ----------
    names
        Of the platform's contracts that are to be told.
    agents_after
        A block: agents are those of then. All else is as it is now.
    """
    where = {"chain": chain_id, "names": list(names), "then": agents_after}
    statement = _FOLLOWED if agents_after is None else _FOLLOWED_THEN
    found = Followed(None, {}, {}, [], [])
    cursor = None
    for what, name, address, other, storage, compliance, number in asking.execute(
        statement, where, binary=True
    ):
        if what == "cursor":
            cursor = (number, address)
        elif what == "platform":
            found.platform[name] = address
        elif what == "contract":
            found.contracts[address] = name
        elif what == "token":
            token = ProjectedToken(
                address=address,
                identity_registry=other,
                identity_storage=storage,
                compliance=compliance,
                block_number=number,
            )
            found.tokens.append(token)
        else:
            found.agents.append((address, other))
    return Followed(cursor, found.platform, found.contracts, found.tokens, found.agents)
