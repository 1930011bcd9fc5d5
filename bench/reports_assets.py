"""Assets for `bench.reports`: one of each sort made as people make it, and copied many times.

Farmland that was sold, with a mortgage that ended, one that weighs on it, and a mutation that
waits; what is suspended, what is in dispute; goods in store, cargo at sea, sites that report what
they produce; and what is tokenized, each with a small token of its own.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from sqlalchemy import text
from sqlmodel import Session

from bench.captable_rows import CHAIN_ID
from bench.copies import Instead, copy_rows, rows_of_asset, written_quietly
from registry.asset.models import Asset, AssetClass
from registry.bill_of_lading import possession
from registry.kernel.clock import today
from registry.production import readings, stock
from registry.production.stock import NewAudit
from registry.title import service as titles
from registry.tokenization.models import TokenizationState
from tests import deeds, goods, intakes, liens, sales, standing
from tests import factories as make
from tests.dossiers import open_sample
from tests.factories import CHECKER, COMPLIANCE, MAKER, Desk

FIELDS = 3
MONTHS = 24
MAUZAS = 1_000
OWNERS = 10_000
TRANSFERS_EACH = 20
HOLDERS_EACH = 10
UNITS = 10_000

# Everybody of a copy is somebody else, and whoever stands twice in it is the same.
_OWNER = """(SELECT party_id FROM owner
  WHERE owner.n = 1 + (copy.n + (hashtext(CAST({old} AS text)) & 65535)) %
    (SELECT count(*) FROM owner))"""


def owners_of(session: Session) -> None:
    """Choose who owns the copies: investors, so that a person holds titles and tokens."""
    session.connection().execute(
        text(
            "CREATE TEMP TABLE owner ON COMMIT DROP AS SELECT row_number() OVER () AS n, party_id"
            " FROM (SELECT party_id FROM investor LIMIT :many) AS investors"
        ),
        {"many": OWNERS},
    )
    session.connection().execute(text("CREATE UNIQUE INDEX ON owner (n)"))
    session.connection().execute(text("ANALYZE owner"))


def copy_assets(desk: Desk, assets: int) -> str:
    """Make and copy assets, `assets` of them; return the reference of a bill of lading."""
    cargo, bill = _cargo(desk)
    shares = (
        (_suspended(desk), 100, "SUS"),
        (_disputed(desk), 200, "DIS"),
        (_stored(desk), 20, "EWR"),
        (cargo, 100, "EBL"),
        (_site(desk), 1_000, "MIN"),
        (_tokenized(desk), 200, "TOK"),
    )
    left = assets
    farm = _farm(desk)
    desk.session.flush()
    for asset, one_in, prefix in shares:
        count = max(assets // one_in, 1)
        _copy(desk.session, asset, count, prefix)
        left -= count
    _copy(desk.session, farm, left, "BENCH")
    _make_tokens(desk.session)
    return bill


def _copy(session: Session, asset: Asset, count: int, prefix: str) -> None:
    copy_rows(session, rows_of_asset(session, asset.id), count, _instead(prefix))


def _instead(prefix: str) -> Instead:
    owner = {name: _OWNER.format(old=f"old.{name}") for name in ("party_id", "holder_id")}
    return {
        "asset": {"code": f"'{prefix}-' || n"},
        "underlying_key": {"key": "old.key || ':' || n"},
        "document": {"sha256": "sha256(old.sha256 || int8send(n))"},
        "parcel": {"mauza_key": f"old.mauza_key || '-' || lpad((n % {MAUZAS})::text, 4, '0')"},
        "undivided_share": {"parent_key": "old.parent_key || ':' || n"},
        # Before the day of which holdings are asked, and some too old by now.
        "valuation": {"basis_date": "old.basis_date - CAST(335 + copy.n % 60 AS int)"},
        "title_share": {"party_id": owner["party_id"]},
        "mutation_party": {"party_id": owner["party_id"]},
        "warehouse_receipt": {
            "key": "old.key || ':' || n",
            "warehouse": "old.warehouse || ' ' || n % 50",
            "holder_id": owner["holder_id"],
        },
        "bill_of_lading": {"reference": "left(old.reference, 8) || '-' || n"},
        "bill_equipment": {"voyage": "old.voyage || '-' || n"},
        "tokenization": {
            "symbol": "'TOK' || n",
            "token_address": "substring(sha256('token' || int8send(n)) FOR 20)",
        },
    }


def _farm(desk: Desk) -> Asset:
    """Register farmland of several fields, sold twice in parts."""
    seller, buyer, other = (make.person(desk) for _ in range(3))
    title = deeds.farm(
        desk, make.owned_by(seller), fields=[(8, 0, "0")] * FIELDS, area=(24, 0, "0")
    )
    asset = desk.session.get_one(Asset, title.asset_id)
    for who in (buyer, other):
        deeds.passed(desk, title, deeds.sale(seller, who))
    make.value(desk, asset, make.VALUE_PAISA * 21 // 20)
    liens.discharged(desk, liens.active(desk, asset))
    deeds.entered(desk, title, deeds.sale(buyer, other))
    liens.active(desk, asset, rank=2)
    return asset


def _suspended(desk: Desk) -> Asset:
    return standing.suspended(desk)


def _disputed(desk: Desk) -> Asset:
    asset = standing.registered_apartment(desk)
    title = titles.title_of_asset(desk.session, asset.id)
    titles.dispute_title(
        desk.session, COMPLIANCE, title.id, reference="Suit 7/2026", reason="A claim of heirs"
    )
    return asset


def _stored(desk: Desk) -> Asset:
    lot = goods.issued(desk)
    for ago in (60, 30):
        counted = NewAudit(
            audited_on=today() - timedelta(days=ago),
            counted_kg=lot.receipt.qty_kg - Decimal(5),
            auditor="Inspection Ltd",
            report_sha256=bytes(32),
        )
        stock.record_audit(desk.session, MAKER, lot.receipt.id, counted)
    return lot.asset


def _cargo(desk: Desk) -> tuple[Asset, str]:
    shipment, other = goods.issued_bill(desk), goods.side(desk)
    possession.offer_possession(
        desk.session, shipment.shipper.actor, shipment.bill.id, to_party_id=other.party.id
    )
    possession.accept_offer(desk.session, other.actor, shipment.bill.id)
    return shipment.asset, shipment.bill.reference


def _site(desk: Desk) -> Asset:
    site = open_sample(desk, AssetClass.ENERGY_MINING_SITE, make.company(desk))
    month = intakes.MONTH
    for _ in range(MONTHS):
        reading = intakes.reading(desk, site, month=month)
        readings.confirm_reading(desk.session, CHECKER, reading.id)
        month = (month - timedelta(days=1)).replace(day=1)
    return site


def _tokenized(desk: Desk) -> Asset:
    wrapped = sales.wrapped_apartment(desk)
    token = sales.deployed(
        desk, wrapped, declared_fractions=UNITS, price_paisa=make.VALUE_PAISA // UNITS
    )
    token.state = TokenizationState.LIVE
    desk.session.flush()
    return wrapped.asset


# Each of these tokens has some of the holders of the large one, who pass it on now and then.
_TOKENS = (
    """
CREATE TEMP TABLE small ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY id) AS n, token_address AS address FROM tokenization
WHERE token_address IS NOT NULL AND NOT EXISTS (
  SELECT FROM token WHERE token.address = tokenization.token_address)
""",
    """
INSERT INTO token (chain_id, address, identity_registry, compliance, block_number, supply_units,
  held_units, paused)
SELECT :chain, address, '\\x01', '\\x02', 1, 1000 * :holders, 1000 * :holders, false FROM small
""",
    """
CREATE TEMP TABLE told ON COMMIT DROP AS
SELECT t.token_no, s.n, k, 1 + s.n % 10 + k * ((c.number - 20) / (:each + :holders)) AS block,
  CASE WHEN k <= :holders THEN NULL ELSE 1 + (s.n * 31 + k % :holders) % h.many END AS source,
  1 + (s.n * 31 + (k + 1) % :holders) % h.many AS target,
  CASE WHEN k <= :holders THEN 1000 ELSE 1 + k END AS units
FROM small s JOIN token t ON t.address = s.address AND t.chain_id = :chain
CROSS JOIN (SELECT number FROM sync_cursor WHERE chain_id = :chain) c
CROSS JOIN (SELECT count(*) AS many FROM holder) h
CROSS JOIN generate_series(1, :each + :holders) AS k
""",
    """
INSERT INTO token_event (token_no, block_number, log_index, kind, tx_hash, source, target, units)
SELECT token_no, block, 1000 + n, 1, sha256(int8send(token_no * 1000 + k)), source,
  target, units FROM told
""",
    """
CREATE TEMP TABLE stood ON COMMIT DROP AS
SELECT token_no, holder_no, block, sum(sum(change)) OVER (
  PARTITION BY token_no, holder_no ORDER BY block) AS units
FROM (SELECT token_no, target AS holder_no, block, units AS change FROM told
  UNION ALL SELECT token_no, source, block, -units FROM told WHERE source IS NOT NULL) x
GROUP BY token_no, holder_no, block
""",
    """
INSERT INTO balance_at (token_no, holder_no, block_number, balance_units, frozen_units)
SELECT token_no, holder_no, block, units, 0 FROM stood
""",
    """
INSERT INTO balance (token_no, holder_no, balance_units, frozen_units, block_number, most_units)
SELECT DISTINCT ON (token_no, holder_no) token_no, holder_no, units, 0, block, 2048
FROM stood ORDER BY token_no, holder_no, block DESC
""",
)


def _make_tokens(session: Session) -> None:
    values = {"chain": CHAIN_ID, "each": TRANSFERS_EACH, "holders": HOLDERS_EACH}
    with written_quietly(session) as run:
        for step in _TOKENS:
            used = {name: value for name, value in values.items() if f":{name}" in step}
            run.execute(text(step), used)
