"""What reports are about: an asset by code, id or key of the real thing; a token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.asset.models import Asset
from registry.captable import service as captable
from registry.captable.bulk import cursor_of
from registry.captable.models import Token
from registry.kernel.errors import Invalid, NotFound
from registry.report.report import Parameters, Question
from registry.title.models import Title
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization


class OfAsset(Parameters):
    """A report on one asset."""

    asset: Annotated[str | None, Field(max_length=36, description="Code or id")] = None
    key: Annotated[
        str | None, Field(max_length=200, description="Natural key of the real thing")
    ] = None


class OfToken(Parameters):
    """A report on one token."""

    token: Annotated[UUID, Field(description="The id of its tokenization")]


A = TypeVar("A", bound=OfAsset)
T = TypeVar("T", bound=OfToken)


def asset_of(session: Session, question: Question[A]) -> tuple[Asset, Title]:
    """Find the asset that is asked for, and its title.

    Raises
    ------
    Invalid
        ``asset_or_key_required``.
    NotFound
    """
    asked = question.parameters
    if (asked.asset is None) == (asked.key is None):
        raise Invalid(
            "asset_or_key_required",
            "The report is on one asset, which is named in one way.",
            field="asset",
            remedy="Send `asset`, a code or an id, or `key`, the key of the real thing.",
        )
    query = select(Asset, Title).join(Title, col(Title.asset_id) == col(Asset.id))
    if asked.key is not None:
        query = query.where(col(Asset.id) == _claimant_of(session, question, asked.key))
    else:
        query = query.where(_named(str(asked.asset)))
    found = session.exec(query.limit(1)).first()
    if found is None:
        raise NotFound("asset", asked.asset or asked.key)
    return found


# Whoever ever claimed it, also under a dossier that has been amended since.
_EVER_CLAIMED = text("""
SELECT DISTINCT parent_id FROM legal_history
WHERE table_name = 'underlying_key' AND image ->> 'key' = :key
""")
# Of several, the one whose claim stands, or stood last.
_CLAIMED = text("""
SELECT asset_id FROM underlying_key WHERE asset_id = ANY(:assets) AND key = :key
ORDER BY live DESC, id DESC LIMIT 1
""")


def _claimant_of(session: Session, question: Question[A], key: str) -> UUID | None:
    """Return which asset claimed the key by the question's moment, or, if none had, now."""
    ever = list(session.execute(_EVER_CLAIMED, {"key": key}).scalars())
    if not ever:
        return None
    asked = {"assets": ever, "key": key}
    with as_recorded(session, question):
        then: UUID | None = session.execute(_CLAIMED, asked).scalar()
    return then or session.execute(_CLAIMED, asked).scalar()


def _named(name: str) -> Any:
    try:
        return col(Asset.id) == UUID(name)
    except ValueError:
        return col(Asset.code) == name


def token_of(session: Session, question: Question[T]) -> tuple[Tokenization, Token]:
    """Find the token that is asked for.

    Raises
    ------
    NotFound
    Unavailable
        ``token_catching_up``.
    """
    tokenization = tokenizations.get_deployed(session, question.parameters.token)
    assert tokenization.token_address is not None
    token = captable.get_token(session, tokenization.token_address, chain_id=question.chain_id)
    return tokenization, token


_PATH = b"SELECT set_config('search_path', %s, true), set_config('milkiyat.known_at', %s, true)"
# The settings of before are read first: OFFSET keeps the two apart.
_PATH_INSTEAD = b"""
SELECT was.path, was.known,
  set_config('search_path', 'past, public', true), set_config('milkiyat.known_at', %s, true)
FROM (SELECT current_setting('search_path') AS path,
  coalesce(current_setting('milkiyat.known_at', true), '') AS known OFFSET 0) was
"""


@contextmanager
def as_recorded(session: Session, question: Question[Any]) -> Iterator[datetime]:
    """Within it, legal rows are as they were recorded by the question's moment.

    For facts that have their effect by being recorded, and no time in law of their own: the state
    of a mutation, of an asset, of an order. Ask by SQL: objects that the session has loaded are
    not read again.
    """
    moment = min(question.moment, question.known_at)
    if moment == question.known_at:
        # The session reads that already, and, where that is now, from the tables themselves.
        yield moment
        return
    with cursor_of(session) as cursor:
        [(path, known, *_)] = cursor.execute(_PATH_INSTEAD, (moment.isoformat(),))
        yield moment
        cursor.execute(_PATH, (path, known))
