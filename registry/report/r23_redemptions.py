"""R-23: redemptions of a token, and what was paid, held and not claimed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from registry.redemption.models import PayoutState
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.subjects import OfToken, as_recorded
from registry.tokenization import service as tokenizations

COLUMNS = (
    Column("redemption", Kind.ID),
    Column("kind"),
    Column("state"),
    Column("record_block", Kind.COUNT),
    Column("holders", Kind.COUNT),
    Column("units", Kind.UNITS),
    Column("gross", Kind.MONEY),
    Column("costs", Kind.MONEY),
    Column("net", Kind.MONEY),
    Column("paid", Kind.MONEY),
    Column("held", Kind.MONEY),
    Column("unclaimed", Kind.MONEY),
)

_REDEMPTIONS = text("""
SELECT id, kind, state, record_block, price_paisa, funded_paisa FROM redemption
WHERE tokenization_id = :token AND id > :after ORDER BY id LIMIT :limit
""")
# By state, so that no amount is looked at twice: of a large token there is one for each holder.
_PAYOUTS = """
SELECT p.redemption_id, {state} AS state, count(*), sum(p.units), sum(p.amount_paisa)
FROM redemption_payout p {acted}
WHERE p.redemption_id = ANY(:redemptions) AND p.recorded_at <= :until
GROUP BY 1, 2
"""
# A payout keeps only how it stands; how it stood is told by the journal. What was held may be
# released or paid later, nothing follows upon what is paid.
_ACTED = r"""
LEFT JOIN (
  SELECT CAST(facts ->> 'payout' AS uuid) AS payout,
    max(recorded_at) FILTER (WHERE act = 'redemption_payout_held' AND recorded_at <= :until)
      > coalesce(max(recorded_at) FILTER (
          WHERE act = 'redemption_payout_released' AND recorded_at <= :until), '-infinity')
      AS was_held
  FROM journal_entry
  WHERE subject_id = ANY(:names) AND act LIKE 'redemption\_payout\_%'
  GROUP BY 1 HAVING bool_or(recorded_at > :until)) j ON j.payout = p.id
"""
_AS_THEY_STAND = text(_PAYOUTS.format(state="p.state", acted=""))
_AS_THEY_STOOD = text(
    _PAYOUTS.format(
        state="CASE WHEN j.payout IS NULL THEN p.state WHEN j.was_held THEN 'HELD' ELSE 'DUE' END",
        acted=_ACTED,
    )
)
_CHANGED = text(r"""
SELECT EXISTS (
  SELECT FROM journal_entry WHERE subject_id = ANY(:names) AND recorded_at > :until
    AND act LIKE 'redemption\_payout\_%')
""")
_STATES = (PayoutState.PAID, PayoutState.HELD, PayoutState.DUE)


@dataclass(slots=True)
class _Payouts:
    """What a redemption pays: to how many, for how many units, and how much in which state."""

    holders: int = 0
    units: int = 0
    paisa: Counter[str] = field(default_factory=Counter)


def _folded(found: Iterable[Any]) -> Mapping[UUID, _Payouts]:
    payouts: dict[UUID, _Payouts] = {}
    for redemption_id, state, holders, units, paisa in found:
        out = payouts.setdefault(redemption_id, _Payouts())
        out.holders += holders
        out.units += int(units)
        out.paisa[state] += int(paisa)
    return payouts


def _rows(session: Session, question: Question[OfToken]) -> Iterator[Row]:
    tokenization = tokenizations.get_tokenization(session, question.parameters.token)
    asked = {
        "token": tokenization.id,
        "after": question.after[0] if question.after else UUID(int=0),
        "limit": question.fetch,
    }
    with as_recorded(session, question) as until:
        found = session.execute(_REDEMPTIONS, asked).all()
        ids = [row.id for row in found]
        values = {"redemptions": ids, "names": [str(item) for item in ids], "until": until}
        has_changed = session.execute(_CHANGED, values).scalar_one()
        query = _AS_THEY_STOOD if has_changed else _AS_THEY_STAND
        payouts = _folded(session.execute(query, values))
    for row in found:
        out = payouts.get(row.id, _Payouts())
        # What is funded is what is allotted to holders: the price less the costs.
        net = row.funded_paisa
        costs = row.price_paisa - net if net else 0
        paid, held, due = (out.paisa[state] if net else 0 for state in _STATES)
        yield Row(
            (str(row.id),),
            (row.id, row.kind, row.state, row.record_block, out.holders, out.units,
             row.price_paisa, costs, net, paid, held, due),
        )  # fmt: skip


REDEMPTIONS = Report(
    code="R-23",
    title="Redemption and payouts",
    title_ur="واپسی اور ادائیگیاں",
    parameters=OfToken,
    columns=COLUMNS,
    rows=_rows,
)
