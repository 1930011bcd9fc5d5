"""What hangs on the large token of `bench.reports`: all that its reports read beside transfers.

Its holders are registered, with a claim each; every mint has its operation, every order its
payment. Some holders are companies that own one another, some addresses are nobody's, some are
frozen. The register of record has filed a statement, of which some rows differ; a redemption pays
everybody. `:token` is the token's tokenization.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from bench.captable_rows import CHAIN_ID
from bench.copies import written_quietly
from registry.captable.held import HELD
from registry.kernel.clock import day_of
from registry.kernel.ids import new_id
from registry.reconciliation.statements import end_of

DAY = timedelta(days=1)
LARGE_PAISA = 2_500_000_00
"""What one order in two hundred is paid: above the threshold of a CTR."""

_REGISTERED = """
INSERT INTO registered_wallet (token_no, holder_no, identity, country, block_number)
SELECT 1, holder_no, substring(sha256(address) FOR 20), 586, 1 + (holder_no - 1) / 100 FROM holder;
INSERT INTO token_event (token_no, block_number, log_index, kind, tx_hash, target, extra)
SELECT 1, block_number, 100 + (holder_no - 1) % 100, 8, sha256(int8send(-holder_no)), holder_no,
  jsonb_build_object('identity', encode(identity, 'hex'), 'country', 586)
FROM registered_wallet WHERE token_no = 1;
INSERT INTO followed_contract (chain_id, address, name, block_number, read_from)
SELECT :chain, substring(sha256(convert_to(name, 'UTF8')) FOR 20), name, 1, 1
FROM (VALUES ('ClaimStore'), ('ClaimIssuer')) x (name);
INSERT INTO contract_event (chain_id, block_number, log_index, address, event, tx_hash, said)
SELECT :chain, 1, 300 + row_number() OVER (), address,
  CASE name WHEN 'ClaimStore' THEN 'KindAdmitted' ELSE 'SigningKeyAdded' END, sha256(address),
  jsonb_build_object('issuer', '0x' || encode(sha256('ClaimIssuer'), 'hex'), 'topic', '1',
    'signingKey', '0x01', 'index', '1')
FROM followed_contract WHERE chain_id = :chain;
INSERT INTO contract_event (chain_id, block_number, log_index, address, event, tx_hash, subject,
  said)
SELECT :chain, w.block_number, 200 + (w.holder_no - 1) % 100, s.address, 'ClaimIssued',
  sha256(int8send(-w.holder_no)), w.identity, jsonb_build_object(
    'identity', '0x' || encode(w.identity, 'hex'), 'topic', '1', 'keyIndex', '1',
    'issuer', '0x' || encode(i.address, 'hex'), 'evidenceHash', '0x' || repeat('ab', 32),
    'issuedAt', '1767225600', 'expiresAt', '1893456000')
FROM registered_wallet w, followed_contract s, followed_contract i
WHERE w.token_no = 1 AND s.name = 'ClaimStore' AND i.name = 'ClaimIssuer'
"""

# An operation of its own for each order, under the order's id; the transaction is the mint's.
_INSTRUCTED = """
CREATE TEMP TABLE bought ON COMMIT DROP AS
SELECT o.id, h.holder_no, o.reference, o.amount_paisa
FROM purchase_order o JOIN wallet w ON w.id = o.wallet_id JOIN holder h ON h.address = w.address
WHERE o.offering_id = (SELECT id FROM offering WHERE tokenization_id = :token);
INSERT INTO operation (id, recorded_at, kind, key, state, subject_kind, subject_id, requested_by,
  params, result, ended_at)
SELECT id, now(), 'mint', 'mint:order:' || id, 'final', 'order', id::text, 'the-treasury',
  jsonb_build_object('order_id', id, 'units', '1'), '{}', now() FROM bought;
INSERT INTO operation_attempt (tx_hash, operation_id, seq, raw, gas, max_fee_wei, signed_at,
  signed_at_block, block_number)
SELECT sha256(int8send(holder_no)), id, 1, decode(repeat('ab', 300), 'hex'), 90000, 1, now(), 1,
  1 + (holder_no - 1) / 100 FROM bought;
UPDATE purchase_order o SET operation_id = o.id FROM bought b WHERE b.id = o.id;
INSERT INTO payment (id, recorded_at, rail, rail_reference, order_id, amount_paisa, received_at,
  order_reference, state)
SELECT uuidv7(), now(), 'bank', 'P-' || holder_no, id,
  CASE WHEN holder_no % 200 = 0 THEN :paid ELSE amount_paisa END,
  timestamptz '2026-01-02' + holder_no * (interval '12 days' / :holders), reference,
  'ALLOCATED' FROM bought;
INSERT INTO ctr_filing (id, recorded_at, party_id, day, total_paisa, payment_ids, state, maker)
SELECT uuidv7(), now(), i.party_id, (m.received_at AT TIME ZONE 'Asia/Karachi')::date,
  m.amount_paisa, jsonb_build_array(m.id), 'PREPARED', 'the-compliance'
FROM payment m JOIN purchase_order o ON o.id = m.order_id JOIN investor i ON i.id = o.investor_id
WHERE m.amount_paisa = :paid AND o.units = 1 AND hashtext(m.rail_reference) % 2 = 0
ON CONFLICT DO NOTHING
"""

# One holder in a thousand is a company; of five, four are owned in part by the next one.
_COMPANIES = """
CREATE TEMP TABLE company ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY h.holder_no) AS n, i.party_id, h.holder_no,
  uuidv7() AS declaration_id
FROM holder h JOIN wallet w ON w.address = h.address JOIN investor i ON i.id = w.investor_id
WHERE h.holder_no % 1000 = 500 OR h.holder_no = :large;
UPDATE party p SET kind = 'LEGAL', name = 'Company ' || c.n, cuin = (5000000 + c.n)::text,
  cnic_sealed = NULL, cnic_fingerprint = NULL FROM company c WHERE c.party_id = p.id;
CREATE TEMP TABLE owning ON COMMIT DROP AS
SELECT c.n, k, i.party_id
FROM company c CROSS JOIN generate_series(1, 3) AS k
JOIN holder h ON h.holder_no = c.holder_no + k JOIN wallet w ON w.address = h.address
JOIN investor i ON i.id = w.investor_id;
INSERT INTO interest_declaration (id, recorded_at, party_id, declared_on, valid_from, whole,
  paper_sha256, state, maker, checker, decided_at)
SELECT declaration_id, timestamptz '2025-06-01', party_id, date '2025-06-01',
  timestamptz '2025-06-01', 100, sha256(int8send(n)), 'CONFIRMED', 'the-maker', 'the-checker',
  timestamptz '2025-06-01' FROM company;
INSERT INTO declared_interest (id, recorded_at, declaration_id, holder_id, nature, parts)
SELECT uuidv7(), timestamptz '2025-06-01', c.declaration_id, o.party_id, 'SHAREHOLDER', 20
FROM company c JOIN owning o ON o.n = c.n;
INSERT INTO declared_interest (id, recorded_at, declaration_id, holder_id, nature, parts)
SELECT uuidv7(), timestamptz '2025-06-01', c.declaration_id, b.party_id, 'SHAREHOLDER', 40
FROM company c JOIN company b ON b.n = c.n + 1 WHERE c.n % 5 <> 0;
INSERT INTO declared_interest (id, recorded_at, declaration_id, holder_id, nature, parts)
SELECT uuidv7(), timestamptz '2025-06-01', c.declaration_id, o.party_id, 'CONTROL', NULL
FROM company c JOIN owning o ON o.n = c.n WHERE o.k = 1;
UPDATE wallet w SET address = substring(sha256(w.address) FOR 20) FROM holder h
WHERE h.address = w.address AND h.holder_no % 5000 = 2500
"""

# Forced by cases, and frozen: a few hundred, spread over all blocks.
_FORCED = """
CREATE TEMP TABLE forced ON COMMIT DROP AS
SELECT block_number, log_index, tx_hash, source, target, units, uuidv7() AS case_id
FROM token_event CROSS JOIN (SELECT greatest(number / 200, 1) AS step FROM sync_cursor
  WHERE chain_id = :chain) c
WHERE token_no = 1 AND kind = 1 AND source IS NOT NULL AND log_index = 7
  AND block_number % c.step = 0;
UPDATE token_event e SET extra = '{"forced": true}' FROM forced f
WHERE e.token_no = 1 AND e.block_number = f.block_number AND e.log_index = f.log_index;
INSERT INTO token_event (token_no, block_number, log_index, kind, tx_hash, source, target, units,
  extra)
SELECT 1, block_number, 500, 12, tx_hash, source, target, units, jsonb_build_object('case_id',
  lpad(replace(case_id::text, '-', ''), 64, '0'), 'number', '1', 'act', 'FORCED_TRANSFER',
  'operator', '0x00') FROM forced;
INSERT INTO legal_case (id, recorded_at, kind, state, legal_basis, reason, document_id,
  document_sha256, wallet, counterparty, takes_frozen, heirs, maker, approved_by)
SELECT f.case_id, now(), 'FORCED_TRANSFER', 'EXECUTED', 'Order', 'Ordered', d.id, d.sha256,
  s.address, t.address, false, '[]', 'the-compliance', 'the-checker'
FROM forced f JOIN holder s ON s.holder_no = f.source JOIN holder t ON t.holder_no = f.target
CROSS JOIN (SELECT id, sha256 FROM document LIMIT 1) d;
INSERT INTO token_event (token_no, block_number, log_index, kind, tx_hash, target, extra)
SELECT 1, c.number - 20, 600 + n, 2, sha256(int8send(-9 - n)), n * c.many / 101,
  '{"frozen": true, "agent": "0x00"}'
FROM generate_series(1, 100) AS n CROSS JOIN (
  SELECT number, (SELECT count(*) FROM holder) AS many FROM sync_cursor WHERE chain_id = :chain) c
"""

# Of the last whole day of the chain: what the register of record says, and the chain said since.
_STATED = f"""
INSERT INTO register_statement (id, recorded_at, tokenization_id, register_of_record, as_of,
  block_number, uploaded_by, differences)
SELECT :statement, now(), :token, 'CDC_CDS', CAST(:day AS date), :block, 'the-operations', 0;
INSERT INTO register_statement_row (id, recorded_at, statement_id, party_id, units)
SELECT uuidv7(), now(), :statement, i.party_id,
  sum(x.balance_units) + CASE WHEN hashtext(i.party_id::text) % 5000 = 0 THEN 5 ELSE 0 END
FROM ({HELD.format(token=1, block="CAST(:block AS int8)")}) x
JOIN holder h ON h.holder_no = x.holder_no
JOIN wallet w ON w.address = h.address
JOIN investor i ON i.id = w.investor_id GROUP BY i.party_id;
INSERT INTO reconciliation_break (id, recorded_at, tokenization_id, rule, subject, detail, state,
  last_seen_at)
SELECT uuidv7(), now(), :token, 'REG-01', 'party:' || party_id, 'differs', 'OPEN', now()
FROM register_statement_row
WHERE statement_id = :statement AND hashtext(party_id::text) % 5000 = 0;
INSERT INTO reconciliation (id, recorded_at, token_no, block_number, block_hash, holders,
  projected_supply_units, chain_supply_units, differences)
SELECT uuidv7(), now(), 1, number, hash, (SELECT count(*) FROM holder), 1, 1, CASE
  WHEN number >= :block THEN (SELECT jsonb_agg(jsonb_build_object('what', 'balance', 'holder',
    '0x' || encode(address, 'hex'), 'database', '7', 'chain', '6'))
    FROM holder WHERE holder_no % 100 = 99 AND holder_no < 1000) ELSE '[]' END
FROM chain_block WHERE chain_id = :chain AND number % 25 = 0
"""  # noqa: S608 - no value in it

_REDEEMED = """
INSERT INTO redemption (id, recorded_at, tokenization_id, kind, state, price_paisa, price_basis,
  record_on, vote_until, long_stop_on, record_block, record_holders, record_units, costs_paisa,
  funded_paisa, maker)
SELECT :redemption, now(), :token, 'SALE', 'PAYING', held.holders * 4000 + 200000000, 'Agreement',
  CURRENT_DATE, CURRENT_DATE, CURRENT_DATE + 30, number, held.holders, held.units, 200000000,
  held.holders * 4000, 'the-issuer'
FROM sync_cursor CROSS JOIN (
  SELECT count(*) AS holders, sum(balance_units) AS units FROM balance
  WHERE token_no = 1 AND balance_units > 0) held
WHERE chain_id = :chain;
INSERT INTO redemption_payout (id, recorded_at, redemption_id, address, party_id, units,
  frozen_units, amount_paisa, state)
SELECT uuidv7(), now(), :redemption, h.address, i.party_id, b.balance_units, 0, 4000,
  CASE WHEN i.party_id IS NULL THEN 'HELD' WHEN h.holder_no % 3 = 0 THEN 'DUE' ELSE 'PAID' END
FROM balance b JOIN holder h ON h.holder_no = b.holder_no
LEFT JOIN wallet w ON w.address = h.address
LEFT JOIN investor i ON i.id = w.investor_id
WHERE b.token_no = 1 AND b.balance_units > 0
"""


def fill_token(session: Session, token_id: UUID, *, large: int) -> None:
    """Add all of it.

    Parameters
    ----------
    large
        The number of a large holder, who is a company too.
    """
    run = session.connection()
    first, last = run.execute(text("SELECT min(mined_at), max(mined_at) FROM chain_block")).one()
    day = day_of(last)
    if end_of(day - DAY) > first:
        day -= DAY
    until = text("SELECT max(number) FROM chain_block WHERE mined_at <= :end")
    block = run.execute(until, {"end": end_of(day)}).scalar_one()
    holders = run.execute(text("SELECT count(*) FROM holder")).scalar_one()
    values: dict[str, Any] = {
        "chain": CHAIN_ID, "token": token_id, "paid": LARGE_PAISA, "large": large,
        "holders": holders, "statement": new_id(), "redemption": new_id(), "day": day,
        "block": block,
    }  # fmt: skip
    with written_quietly(session):
        for steps in (_REGISTERED, _INSTRUCTED, _COMPANIES, _FORCED, _STATED, _REDEEMED):
            for step in steps.split(";"):
                used = {name: value for name, value in values.items() if f":{name}" in step}
                run.execute(text(step), used)
