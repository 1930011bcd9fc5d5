"""R-08: what stands behind a token: the asset's worth less its debt, and in whose name it is."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from registry.asset.law import law_of
from registry.asset.models import Asset
from registry.captable.supply import supply_at
from registry.encumbrance.rules import SECURITY_INTERESTS
from registry.kernel.clock import day_of
from registry.receipt.models import ENDED
from registry.report.people import name_column, people_of
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.subjects import OfToken, as_recorded, token_of
from registry.report.worth import Worth, worth_of
from registry.tokenization.models import Tokenization

COLUMNS = (
    Column("token", Kind.ID),
    Column("symbol"),
    Column("asset"),
    Column("asset_state"),
    Column("fractions", Kind.UNITS),
    Column("supply", Kind.UNITS),
    Column("value", Kind.MONEY),
    Column("valued_on", Kind.DATE),
    Column("debt", Kind.MONEY),
    Column("economic_share", Kind.FRACTION),
    Column("net", Kind.MONEY),
    Column("issue_value", Kind.MONEY),
    Column("coverage", Kind.FRACTION),
    name_column("wrapper"),
    Column("wrapper_type"),
    Column("register_of_record"),
    Column("registered_share", Kind.FRACTION),
    Column("title_checked_at", Kind.TIME),
    Column("custody"),
    Column("insured", Kind.MONEY),
    Column("insured_until", Kind.DATE),
)

_DEBT = text("""
SELECT coalesce(sum(t.amount_paisa), 0)
FROM encumbrance e JOIN title ON title.id = e.title_id JOIN LATERAL (
  SELECT amount_paisa FROM encumbrance_terms
  WHERE encumbrance_id = e.id AND valid_from <= :moment ORDER BY seq DESC LIMIT 1) t ON true
WHERE title.asset_id = :asset AND e.kind = ANY(:securities)
  AND e.valid_from <= :moment AND (e.valid_to IS NULL OR e.valid_to > :moment)
""")

_WRAPPER = text("""
SELECT w.party_id, w.type, w.register_of_record, s.hissa, v.kul_hissay
FROM wrapper w LEFT JOIN title t ON t.asset_id = w.asset_id
LEFT JOIN title_version v ON v.title_id = t.id
  AND v.valid_from <= :moment AND (v.valid_to IS NULL OR v.valid_to > :moment)
  AND v.recorded_at <= :known AND (v.superseded_at IS NULL OR v.superseded_at > :known)
LEFT JOIN title_share s ON s.version_id = v.id AND s.party_id = w.party_id
WHERE w.asset_id = :asset
""")

# One that has run out or was renewed since was looked at all the same; one that was found forged
# proves no title.
_CHECKED = text("""
SELECT max(verified_at) FROM document
WHERE asset_id = :asset AND kind = ANY(:proofs) AND verified_at <= :moment
  AND state IN ('VERIFIED', 'EXPIRED', 'SUPERSEDED')
""")

# Goods lie in a warehouse, whose receipt names it; bullion in the vault that certifies it. What is
# insured otherwise has a policy. A receipt that has ended insures nothing: what was split stands on
# its parts.
_CUSTODY = text("""
SELECT coalesce(string_agg(DISTINCT r.warehouse, ', ' ORDER BY r.warehouse), (
    SELECT string_agg(DISTINCT issuer, ', ' ORDER BY issuer) FROM document
    WHERE asset_id = :asset AND kind = 'VAULT_CERTIFICATE' AND state = 'VERIFIED'
      AND verified_at <= :moment AND (valid_until IS NULL OR valid_until >= :day))),
  CAST(sum(r.insured_paisa) AS bigint),
  (SELECT max(valid_until) FROM document
   WHERE asset_id = :asset AND kind = 'INSURANCE' AND state = 'VERIFIED'
     AND verified_at <= :moment AND (issued_on IS NULL OR issued_on <= :day))
FROM warehouse_receipt r WHERE r.asset_id = :asset AND NOT r.state = ANY(:ended)
""")
_STATE = text("SELECT state FROM asset WHERE id = :asset")


def _rows(session: Session, question: Question[OfToken]) -> Iterator[Row]:
    tokenization, token = token_of(session, question)
    if question.after is not None:
        return
    asset = session.get_one(Asset, tokenization.asset_id)
    asked = {
        "asset": asset.id, "moment": question.moment, "known": question.known_at,
        "day": day_of(question.moment), "securities": [kind.value for kind in SECURITY_INTERESTS],
        "proofs": sorted(law_of(asset).regime.title_proof),
        "ended": [state.value for state in ENDED],
    }  # fmt: skip
    supply = supply_at(session, token, question.at_block)
    worth = worth_of(session, question, {asset.id}).get(asset.id)
    with as_recorded(session, question):
        state = session.execute(_STATE, asked).scalar_one_or_none()
        checked = session.execute(_CHECKED, asked).scalar()
        custody = session.execute(_CUSTODY, asked).one()
    yield Row(
        (str(tokenization.id),),
        (tokenization.id, tokenization.symbol, asset.code, state,
         tokenization.declared_fractions, supply,
         *_backing(tokenization, supply, worth, int(session.execute(_DEBT, asked).scalar_one())),
         *_wrapper(session, question, asked),
         checked, *custody),
    )  # fmt: skip


def _backing(
    tokenization: Tokenization, supply: int, worth: Worth | None, debt: int
) -> tuple[Any, ...]:
    """Give worth, its day, debt, the token's part, what is left for it, and how far that covers."""
    part, issued = tokenization.economic_share, supply * tokenization.price_paisa
    if worth is None:
        return (None, None, debt, part, None, issued, None)
    net = max(worth.amount_paisa - debt, 0) * part
    coverage = net / issued if issued else None
    whole = net.numerator // net.denominator
    return (worth.amount_paisa, worth.basis_date, debt, part, whole, issued, coverage)


def _wrapper(session: Session, question: Question[OfToken], asked: dict[str, Any]) -> Any:
    row = session.execute(_WRAPPER, asked).first()
    if row is None:
        return (None,) * 4
    party_id: UUID = row.party_id
    share = Fraction(row.hissa or 0, row.kul_hissay) if row.kul_hissay else None
    person = people_of(session, question, {party_id})[party_id]
    return (person.name, row.type, row.register_of_record, share)


BACKING = Report(
    code="R-08",
    title="Backing statement",
    title_ur="پشت پناہی کا گوشوارہ",
    parameters=OfToken,
    columns=COLUMNS,
    rows=_rows,
    speaks_of_chain=True,
)
