"""A register for `bench.reports`: a large token, and many assets with all that a title has.

One asset is registered as people register it, with a lien in force; the others are its rows under
other ids and in other hands. Triggers rest meanwhile: the history of these rows is not what is
measured, and a report of now reads the tables themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session, col, select

from bench.api_stage import ApiStage, build_stage
from registry.asset.models import Asset
from registry.captable.bulk import cursor_of
from registry.document.store import DocumentStore
from registry.investor.models import Investor
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.party.details import keep, known_of
from registry.party.models import Party, PartyKind
from registry.title.models import Title, TitleShare, TitleVersion
from tests import goods, liens
from tests.factories import Desk, open_apartment, registered

SAMPLE = 200
OWNERS = 10_000

_CLONES = """
SET LOCAL session_replication_role = replica;
CREATE TEMP TABLE owner ON COMMIT DROP AS
    SELECT row_number() OVER (ORDER BY party_id) AS n, party_id
    FROM (SELECT party_id FROM investor LIMIT :owners) AS investors;
CREATE TEMP TABLE clone ON COMMIT DROP AS
    SELECT n, uuidv7() AS asset_id, uuidv7() AS title_id, uuidv7() AS version_id,
        1 + n % (SELECT count(*) FROM owner) AS owner_n
    FROM generate_series(1, CAST(:count AS bigint)) AS n;
INSERT INTO asset SELECT (jsonb_populate_record(old, jsonb_build_object('id', new.asset_id,
    'code', 'BENCH-' || n))).* FROM clone new, asset old WHERE old.id = :asset;
INSERT INTO underlying_key SELECT (jsonb_populate_record(old, jsonb_build_object('id', uuidv7(),
    'asset_id', new.asset_id, 'key', old.key || ':' || n))).*
    FROM clone new, underlying_key old WHERE old.asset_id = :asset;
INSERT INTO document SELECT (jsonb_populate_record(old, jsonb_build_object('id', uuidv7(),
    'asset_id', new.asset_id, 'sha256', '\\x' || encode(sha256(old.sha256 || int8send(n)), 'hex')
    ))).* FROM clone new, document old WHERE old.asset_id = :asset;
INSERT INTO valuation SELECT (jsonb_populate_record(old, jsonb_build_object('id', uuidv7(),
    'asset_id', new.asset_id))).* FROM clone new, valuation old WHERE old.asset_id = :asset;
INSERT INTO title SELECT (jsonb_populate_record(old, jsonb_build_object('id', new.title_id,
    'asset_id', new.asset_id))).* FROM clone new, title old WHERE old.id = :title;
INSERT INTO title_version SELECT (jsonb_populate_record(old, jsonb_build_object(
    'id', new.version_id, 'title_id', new.title_id))).*
    FROM clone new, title_version old WHERE old.id = :version;
INSERT INTO title_share SELECT (jsonb_populate_record(old, jsonb_build_object(
    'version_id', new.version_id, 'party_id', owner.party_id))).*
    FROM clone new JOIN owner ON owner.n = new.owner_n, title_share old
    WHERE old.version_id = :version;
INSERT INTO encumbrance SELECT (jsonb_populate_record(old, jsonb_build_object('id', uuidv7(),
    'title_id', new.title_id))).* FROM clone new, encumbrance old WHERE old.title_id = :title
"""


@dataclass(frozen=True, slots=True)
class ReportStage:
    """What there is to report on.

    Parameters
    ----------
    codes
        Of some of the assets.
    parties
        Some who hold titles and the token.
    bill
        Reference of a bill of lading.
    """

    api: ApiStage
    codes: list[str]
    parties: list[UUID]
    bill: str


def build_report_stage(
    database: Database,
    vault: Vault,
    store: DocumentStore,
    *,
    holders: int,
    transfers: int,
    assets: int,
) -> ReportStage:
    """Fill an empty database."""
    api = build_stage(database, vault, store, holders, transfers)
    with database.transaction() as session:
        _seal(session, vault, api.people[-1].actor.subject)
        desk = Desk(session, vault, store)
        _clone(session, _template(desk), assets)
        shipment = goods.made_out(desk)
        bill = shipment.bill.reference
        named = select(Asset.code).where(col(Asset.code).startswith("BENCH-"))
        codes = list(session.exec(named.limit(SAMPLE)))
        parties = list(session.exec(select(TitleShare.party_id).distinct().limit(SAMPLE)))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
    return ReportStage(api, codes, parties, bill)


def _seal(session: Session, vault: Vault, subject: str) -> None:
    """Seal the details of everybody who was made after this one: another's do not open."""
    of_one = select(Party).join(Investor, col(Investor.party_id) == col(Party.id))
    details = known_of(vault, session.exec(of_one.where(Investor.subject == subject)).one())
    named = select(Investor.party_id).where(col(Investor.subject).startswith("holder-"))
    clones = session.exec(named).all()
    with cursor_of(session) as cursor:
        cursor.execute("CREATE TEMP TABLE sealed (id uuid, details bytea) ON COMMIT DROP")
        with cursor.copy("COPY sealed FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["uuid", "bytea"])
            for party_id in clones:
                party = Party(id=party_id, kind=PartyKind.NATURAL, created_by=subject)
                keep(vault, party, details)
                copy.write_row((party_id, party.details_sealed))
        cursor.execute(
            "UPDATE party SET details_sealed = sealed.details FROM sealed"
            " WHERE sealed.id = party.id"
        )


def _template(desk: Desk) -> dict[str, Any]:
    asset = registered(desk, open_apartment(desk))
    liens.active(desk, asset)
    title = desk.session.exec(select(Title).where(col(Title.asset_id) == asset.id)).one()
    version = desk.session.exec(
        select(TitleVersion).where(col(TitleVersion.title_id) == title.id)
    ).one()
    desk.session.flush()
    return {"asset": asset.id, "title": title.id, "version": version.id}


def _clone(session: Session, template: dict[str, Any], assets: int) -> None:
    values = template | {"count": assets, "owners": OWNERS}
    for step in _CLONES.split(";"):
        used = {name: value for name, value in values.items() if f":{name}" in step}
        session.connection().execute(text(step), used)
