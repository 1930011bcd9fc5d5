"""What is not sent again yet, since it would come before what it depends on.

Everything was sent only after its dependencies were on chain. A reorg may drop them together; sent
again by another key, or lost on the way, a dependency may come after its dependent, which then
reverts though nothing is wrong with it.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

LONGEST_SECONDS = 60.0
"""After that it is sent all the same: nothing may hold up a key's other nonces for ever."""

# What the same key has sent before comes before by its nonce; what is planned anew may get a nonce
# behind ours, and would wait for us.
_WAITING = text("""
SELECT DISTINCT coalesce(o.batch_id, o.id)
FROM operation o
JOIN operation_dependency d ON d.operation_id = o.id
JOIN operation n ON n.id = d.requires_id
LEFT JOIN operation carrier ON carrier.id = n.batch_id
WHERE (o.id = ANY(:ids) OR o.batch_id = ANY(:ids)) AND n.state IN ('signed', 'broadcast')
  AND coalesce(carrier.signer, n.signer) <> :signer
""")


class HoldingBack:
    """Remembers since when each operation of one key waits for another key's."""

    def __init__(self, signer: bytes) -> None:
        self._signer = signer
        self._since: dict[UUID, float] = {}
        self.released: set[UUID] = set()
        """What waited when it was last asked, and does no more: it is due at once."""

    def held(self, session: Session, ids: Collection[UUID]) -> set[UUID]:
        """Give those of some operations that are on their way which wait now."""
        asked = {"ids": list(ids), "signer": self._signer}
        waiting = set(session.execute(_WAITING, asked).scalars()) if ids else set()
        moment, before = time.monotonic(), self._since
        self._since = {each: before.get(each, moment) for each in waiting}
        held = {each for each, since in self._since.items() if moment - since < LONGEST_SECONDS}
        self.released = before.keys() - held
        return held
