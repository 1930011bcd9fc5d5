"""Whether everything is known of what some wallets hold: while a token is read again, it is not."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlmodel import Session

from registry.captable import service as captable
from registry.captable.bulk import cursor_of
from registry.report.report import Question

# Of a token of ours that is read from its first block again, nobody has a row until it is read; one
# that was adopted is told of once it was read.
_UNREAD = """
SELECT t.refusal, t.caught_up_to FROM token t
WHERE t.chain_id = %(chain)s AND (t.refusal IS NOT NULL OR t.caught_up_to IS NOT NULL)
  AND (t.refusal IS NULL AND EXISTS (SELECT FROM tokenization k WHERE k.token_address = t.address)
    OR EXISTS (
      SELECT FROM balance b JOIN holder h ON h.holder_no = b.holder_no
      WHERE b.token_no = t.token_no AND h.address = ANY(%(wallets)s)))
LIMIT 1
"""


def require_followed(session: Session, question: Question[Any], wallets: Collection[bytes]) -> None:
    """Refuse while a token is read again of which one of these may hold something.

    Raises
    ------
    Conflict
        ``token_refused``.
    Unavailable
        ``token_catching_up``.
    """
    asked = {"chain": question.chain_id, "wallets": list(wallets)}
    with cursor_of(session) as cursor:
        unread = cursor.execute(_UNREAD, asked).fetchone()
    if unread is not None:
        captable.require_followed(*unread)
