"""The gate between a title and a token: every rule, asked again before every step."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import func, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import Asset, AssetState, UnderlyingKey
from registry.kernel.errors import Conflict
from registry.onboarding.facts import gather_facts
from registry.rulebook import service as rulebook
from registry.rulebook.facts import Facts, TokenTerms
from registry.rulebook.service import Moment
from registry.title import service as titles
from registry.title.models import TitleState
from registry.tokenization.models import ENDED, Tokenization


def gate_facts(session: Session, asset: Asset, tokenization: Tokenization | None = None) -> Facts:
    """Gather what the gate looks at.

    Parameters
    ----------
    tokenization
        The one that is judged, or None to judge the asset for any tokenization.
    """
    terms = None
    if tokenization is not None:
        terms = TokenTerms(
            tokenization.declared_fractions,
            tokenization.price_paisa,
            tokenization.economic_share,
            tokenization.maturity,
        )
    return replace(
        gather_facts(session, asset),
        rival_tokenizations=_count_rivals(session, asset, tokenization),
        terms=terms,
    )


# Made once: an alias of a table takes longer to make than the database to answer.
_MINE, _THEIRS = aliased(UnderlyingKey), aliased(UnderlyingKey)


def _count_rivals(session: Session, asset: Asset, tokenization: Tokenization | None) -> int:
    """Count live tokenizations of the asset, or of any other one of the keys that it holds.

    A key that it claims and another one holds is KEY-01's business alone. A key that it holds
    may still have a token: of an asset that let the key go before its token had ended.

    Where no tokenization is judged, the asset's own counts for nothing: the question is
    whether it could be tokenized, not whether it is.
    """
    same_thing = (
        select(_THEIRS.asset_id)
        .join(_MINE, col(_MINE.key) == col(_THEIRS.key))
        .where(col(_MINE.asset_id) == asset.id, col(_MINE.live))
    )
    query = select(func.count()).where(
        col(Tokenization.state).not_in(ENDED),
        or_(
            col(Tokenization.asset_id) == asset.id,
            col(Tokenization.asset_id).in_(same_thing),
        ),
    )
    if tokenization is None:
        query = query.where(col(Tokenization.asset_id) != asset.id)
    else:
        query = query.where(col(Tokenization.id) != tokenization.id)
    return session.exec(query).one()


def require_open_gate(
    session: Session, tokenization: Tokenization, moment: Moment = Moment.TOKENIZATION
) -> None:
    """Let a step of the tokenization go on only if every rule and the register allow it.

    The asset's row is locked until the end of the transaction, so that an encumbrance comes
    into force before this step or after it, never in between.

    Parameters
    ----------
    moment
        What the step is: the opening of a sale asks more than the others.

    Raises
    ------
    RulesRefused
        With every rule that failed.
    Conflict
        ``asset_not_registered``, ``title_not_active``.
    """
    asset = assets.get_asset(session, tokenization.asset_id, lock=True)
    rulebook.require(moment, gate_facts(session, asset, tokenization))
    if asset.state != AssetState.REGISTERED:
        raise Conflict(
            "asset_not_registered",
            f"The asset is {asset.state}; only a REGISTERED asset can carry a token.",
        )
    title = titles.title_of_asset(session, asset.id)
    if title.state != TitleState.ACTIVE:
        raise Conflict("title_not_active", f"The title is {title.state}, not ACTIVE.")
