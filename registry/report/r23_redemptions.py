"""R-23: redemptions of a token, and what was paid, held and not claimed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
SELECT id, kind, state, record_block, record_holders, record_units, price_paisa, costs_paisa,
  funded_paisa
FROM redemption WHERE tokenization_id = :token AND id > :after ORDER BY id LIMIT :limit
""")
# Of a large token there is a payout for each holder: those that are paid are told by the rest.
_OPEN = text("""
SELECT redemption_id, state, sum(amount_paisa) AS paisa FROM redemption_payout
WHERE redemption_id = ANY(:redemptions) AND state <> 'PAID' GROUP BY 1, 2
""")
# A payout keeps only how it stands; how it stood is told by the journal. What was held may be
# released or paid later, nothing follows upon what is paid.
_AS_THEY_STOOD = text(r"""
SELECT p.redemption_id, CASE WHEN j.payout IS NULL THEN p.state WHEN j.was_held THEN 'HELD'
    ELSE 'DUE' END AS state, count(*), sum(p.units), sum(p.amount_paisa)
FROM redemption_payout p
LEFT JOIN (
  SELECT CAST(facts ->> 'payout' AS uuid) AS payout,
    max(recorded_at) FILTER (WHERE act = 'redemption_payout_held' AND recorded_at <= :until)
      > coalesce(max(recorded_at) FILTER (
          WHERE act = 'redemption_payout_released' AND recorded_at <= :until), '-infinity')
      AS was_held
  FROM journal_entry
  WHERE subject_id = ANY(:names) AND act LIKE 'redemption\_payout\_%'
  GROUP BY 1 HAVING bool_or(recorded_at > :until)) j ON j.payout = p.id
WHERE p.redemption_id = ANY(:redemptions) AND p.recorded_at <= :until
GROUP BY 1, 2
""")
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


def _is_older(redemption: Any) -> bool:
    """Tell whether only its payouts say how many are paid."""
    return redemption.record_block is not None and redemption.record_units is None


def _told_by_the_rest(found: Sequence[Any], open_payouts: Iterable[Any]) -> Mapping[UUID, _Payouts]:
    """Reckon what is paid from what is not: together they are what was funded."""
    payouts = {
        row.id: _Payouts(
            row.record_holders or 0,
            int(row.record_units or 0),
            Counter({PayoutState.PAID: row.funded_paisa}),
        )
        for row in found
    }
    for redemption_id, state, paisa in open_payouts:
        payouts[redemption_id].paisa[state] += int(paisa)
        payouts[redemption_id].paisa[PayoutState.PAID] -= int(paisa)
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
        if has_changed or any(_is_older(row) for row in found):
            payouts = _folded(session.execute(_AS_THEY_STOOD, values))
        else:
            payouts = _told_by_the_rest(found, session.execute(_OPEN, values))
    for row in found:
        out = payouts.get(row.id, _Payouts())
        # What is funded is what is allotted to holders: the price less the costs.
        net, costs = row.funded_paisa, row.costs_paisa or 0
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
