"""A register for `bench.reports`: a large token, many assets, and what offices do with both.

Whatever a report reads is there in numbers that a register of this size may have. Triggers rest
meanwhile: the history of these rows is not what is measured, and a report of now reads the tables
themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from api.schemas.common import address_of
from bench.api_stage import PEOPLE, build_stage
from bench.reports_assets import copy_assets, owners_of
from bench.reports_desk import fill_desks
from bench.reports_token import fill_token
from registry.captable.bulk import cursor_of
from registry.document.store import DocumentStore
from registry.journal.sealer import seal_all
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.party.details import Details, cnic_of, keep, keep_cnic, known_of
from registry.party.models import Party, PartyKind
from registry.policy.models import PolicyName
from registry.policy.service import policy_on
from registry.tokenization.models import Tokenization
from tests.factories import Desk

SAMPLE = 200
SEALED = 50_000
"""So many of the copied entries of the journal wait for their seal."""
LARGE = (PEOPLE - 1, PEOPLE, PEOPLE + 1, PEOPLE + 2)
"""Numbers of the large holders: two whom people made, a company, and one more."""
MANY_UNITS = 950
"""Of 1,000 that a transfer has at most: whatever has more is above the travel rule's threshold."""
MIDDLE = datetime(2026, 1, 8, tzinfo=UTC)
"""Of what happens over time; the token's first block is of the first of January."""
SINCE = "2026-01-03T00:00:00Z"

Query = dict[str, str]


@dataclass(frozen=True, slots=True)
class ReportStage:
    """What there is to report on.

    Parameters
    ----------
    questions
        To each report, what it is asked: of each of a sample, where it is about one thing.
    parties
        Some who hold titles and the token.
    """

    questions: Mapping[str, Sequence[Query]]
    parties: Sequence[UUID]


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
    api = build_stage(database, vault, store, holders, transfers, large=LARGE)
    with database.transaction() as session:
        desk = Desk(session, vault, store)
        _price(session, api.token_id)
        owners_of(session)
        bill = copy_assets(desk, assets)
        fill_token(session, api.token_id, large=PEOPLE + 1)
        fill_desks(desk, api.token_id, assets)
        _seal_parties(session, vault)
        _queue(session)
        questions, parties = _questions(session, str(api.token_id), bill)
        wallets = [{"wallet": address_of(each.wallet)} for each in api.people]
    seal_all(database)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
    return ReportStage({**questions, "R-04": [*questions["R-04"], *wallets]}, parties)


def _price(session: Session, token_id: UUID) -> None:
    """Let one transfer in twenty be worth more than the travel rule's threshold."""
    rule = policy_on(session, PolicyName.TRAVEL_RULE, MIDDLE.date())
    token = session.get_one(Tokenization, token_id)
    token.price_paisa = int(rule.value) // MANY_UNITS
    session.flush()


def _seal_parties(session: Session, vault: Vault) -> None:
    """Seal what is known of everybody who was copied: another's does not open."""
    copied = text(
        "SELECT p.id, p.kind, p.cnic_sealed IS NOT NULL FROM party p"
        " JOIN investor i ON i.party_id = p.id WHERE i.subject LIKE 'holder-%'"
    )
    details, cnic = _details(session, vault)
    clones = session.connection().execute(copied).all()
    # One object for all of them: making one takes longer than sealing.
    party = Party(kind=PartyKind.NATURAL, created_by="bench")
    with cursor_of(session) as cursor:
        cursor.execute(
            "CREATE TEMP TABLE sealed (id uuid, details bytea, cnic bytea) ON COMMIT DROP"
        )
        with cursor.copy("COPY sealed FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["uuid", "bytea", "bytea"])
            for party.id, party.kind, has_cnic in clones:
                keep(vault, party, details)
                keep_cnic(vault, party, cnic)
                sealed_cnic = party.cnic_sealed if has_cnic else None
                copy.write_row((party.id, party.details_sealed, sealed_cnic))
        cursor.execute(
            "UPDATE party SET details_sealed = sealed.details, cnic_sealed = sealed.cnic"
            " FROM sealed WHERE sealed.id = party.id"
        )


def _details(session: Session, vault: Vault) -> tuple[Details, str]:
    of_people = text("SELECT party_id FROM investor WHERE subject LIKE 'person-%' LIMIT 1")
    party = session.get_one(Party, session.connection().execute(of_people).scalar_one())
    cnic = cnic_of(vault, party)
    assert cnic is not None
    return known_of(vault, party), cnic


def _queue(session: Session) -> None:
    """Let some of the copied entries of the journal be sealed too."""
    session.connection().execute(
        text(
            "INSERT INTO journal_pending (kind, entry_id) SELECT 'act', id FROM journal_entry"
            " WHERE recorded_at < now() - interval '1 day' LIMIT :many"
        ),
        {"many": SEALED},
    )


def _questions(
    session: Session, token_id: str, bill: str
) -> tuple[dict[str, Sequence[Query]], Sequence[UUID]]:
    run = session.connection()
    codes = text("SELECT code FROM asset WHERE code LIKE 'BENCH-%' LIMIT :many")
    named = [{"asset": code} for code in run.execute(codes, {"many": SAMPLE}).scalars()]
    owners = text("SELECT party_id FROM owner ORDER BY n DESC LIMIT :many")
    parties = run.execute(owners, {"many": SAMPLE}).scalars().all()
    token = {"token": token_id}
    of_token = ("R-05", "R-08", "R-09", "R-23")
    return {
        **dict.fromkeys(("R-01", "R-02", "R-03", "R-22"), named),
        **{code: [token] for code in of_token},
        "R-04": [{"party": str(party)} for party in parties],
        "R-06": [token, *({"asset": each["asset"]} for each in named[:4])],
        "R-07": [token | {"since": SINCE}],
        "R-10": [token, token | {"since": SINCE}],
        "R-11": [{}, token | {"since": SINCE}],
        "R-12": [token | {"since": SINCE}, {"since": SINCE}],
        "R-13": [{"day": f"{MIDDLE:%Y-%m-%d}"}],
        "R-20": [{"reference": bill}],
        "R-24": [{}, {"subject": "R-05"}, *({"subject": str(party)} for party in parties)],
    }, parties
