"""What offices have on their desks, for `bench.reports`: suspicions, hits, orders, complaints."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

from bench.copies import copy_rows, written_quietly
from registry.journal import service as journal
from registry.kernel.actor import Role
from registry.sanctions import lists
from tests import court, intakes, sanctioned
from tests import factories as make
from tests.factories import ACTORS, COMPLIANCE, Desk

READINGS = 100_000
NAMED = 20
"""Of so many persons each reading told: about what a page tells of."""

_OWNER = "(SELECT party_id FROM owner WHERE owner.n = 1 + copy.n % (SELECT count(*) FROM owner))"
# Each tells of other ones, so that everybody was read of by several.
_READ_OF = f"""old.facts || jsonb_build_object('parties', (
  SELECT jsonb_agg(owner.party_id) FROM owner
  WHERE owner.n > copy.n * {NAMED} % (SELECT count(*) FROM owner)
    AND owner.n <= copy.n * {NAMED} % (SELECT count(*) FROM owner) + {NAMED}))"""  # noqa: S608

# Names that look like somebody's on the list, half of them decided; of some everything is frozen.
_HITS = """
INSERT INTO sanctions_hit (id, recorded_at, party_id, entry_id, reference, party_print,
  entry_sha256, score, state, maker, verdict, checker, decided_at)
SELECT uuidv7(), now(), x.party_id, e.id, e.reference, sha256(uuid_send(x.party_id)),
  e.entry_sha256, 80 + x.n % 20, CASE WHEN x.n % 2 = 0 THEN 'TRUE_MATCH' ELSE 'OPEN' END,
  'the-compliance', CASE WHEN x.n % 2 = 0 THEN 'TRUE_MATCH' END,
  CASE WHEN x.n % 2 = 0 THEN 'the-second' END, CASE WHEN x.n % 2 = 0 THEN now() END
FROM (
  SELECT i.party_id, row_number() OVER () AS n FROM holder h
  JOIN wallet w ON w.address = h.address JOIN investor i ON i.id = w.investor_id
  WHERE h.holder_no IN (SELECT target FROM token_event WHERE token_no = 1 AND kind = 2)
    OR h.holder_no % :one_in = 3) x
JOIN (SELECT *, row_number() OVER () AS n, count(*) OVER () AS many FROM sanctions_entry) e
  ON e.n = 1 + x.n % e.many
"""

# Each order on a wallet was carried out by a case, by one transaction.
_CARRIED_OUT = """
CREATE TEMP TABLE carried ON COMMIT DROP AS
SELECT id AS order_id, wallet, uuidv7() AS case_id, uuidv7() AS operation_id FROM court_order;
INSERT INTO legal_case (id, recorded_at, kind, state, legal_basis, reason, document_id,
  document_sha256, order_id, wallet, takes_frozen, heirs, maker)
SELECT case_id, now(), 'FREEZE_WALLET', 'EXECUTED', 'order', 'order', d.id, d.sha256, order_id,
  wallet, false, '[]', 'the-compliance'
FROM carried CROSS JOIN (SELECT id, sha256 FROM document LIMIT 1) d;
INSERT INTO operation (id, recorded_at, kind, key, state, subject_kind, subject_id, requested_by,
  params, result)
SELECT operation_id, now(), 'case_act', 'case:' || case_id, 'final', 'legal_case', case_id::text,
  'the-compliance', '{}', '{}' FROM carried;
INSERT INTO operation_attempt (tx_hash, operation_id, seq, raw, gas, max_fee_wei, signed_at,
  signed_at_block, block_number)
SELECT sha256(uuid_send(operation_id)), operation_id, 1, '\\x00', 1, 1, now(), 1, 1 FROM carried;
INSERT INTO case_act (id, recorded_at, case_id, number, act, tokenization_id, wallet, operation_id)
SELECT uuidv7(), now(), case_id, 1, 'FREEZE_WALLET', :token, wallet, operation_id FROM carried
"""


def fill_desks(desk: Desk, token_id: object, assets: int) -> None:
    """Make one of each, and so many more as a register of so many assets has."""
    session = desk.session
    _copy(session, "str_case", intakes.str_case(desk).id, assets // 500, party_id=_OWNER)
    who = make.buyer(desk)
    _copy(session, "complaint", intakes.complaint(desk, who).id, assets // 20, party_id=_OWNER)
    _copy(session, "incident", intakes.incident(desk).id, assets // 500)
    order = court.apply(desk, court.on_wallet(desk, who.wallet.address))
    session.flush()
    wallet = "(SELECT address FROM holder WHERE holder_no = n)"
    case_no = "'W.P. ' || n || '/2025'"
    _copy(session, "court_order", order.id, assets // 100, wallet=wallet, case_no=case_no)
    lists.import_list(session, COMPLIANCE, sanctioned.file_of())
    session.flush()
    with written_quietly(session) as run:
        run.execute(text(_HITS), {"one_in": 2_000})
        for step in _CARRIED_OUT.split(";"):
            run.execute(text(step), {"token": token_id} if ":token" in step else {})
    _note_readings(session)


def _copy(session: Session, table: str, of: object, count: int, **instead: str) -> None:
    session.flush()
    copy_rows(session, {table: [of]}, count, {table: instead})  # type: ignore[list-item]


def _note_readings(session: Session) -> None:
    regulator = ACTORS[Role.REGULATOR]
    journal.record(
        session, regulator, "personal_data_read", "report", "R-05", purpose="inspection 1/2025",
        legal_basis="Companies Act 2017, s. 123A", format="json", parameters={}, revealed=False,
        rows=200, content_sha256="ab" * 32, party_count=200, parties=[],
    )  # fmt: skip
    session.flush()
    found = session.connection().execute(
        text("SELECT id FROM journal_entry WHERE act = 'personal_data_read' LIMIT 1")
    )
    copy_rows(
        session,
        {"journal_entry": [found.scalar_one()]},
        READINGS,
        {"journal_entry": {"subject_id": "'R-05'", "facts": _READ_OF}},
    )
