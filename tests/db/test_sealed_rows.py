"""Rows without a history: what is sealed of them, in how many images, and who is named by that."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import text, update
from sqlmodel import Session

from registry.document.store import DocumentStore
from registry.journal import service as journal
from registry.journal.export import export_lines
from registry.journal.sealer import seal_all
from registry.kernel import migrate
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.offering import minting
from registry.offering import service as offerings
from registry.offering.models import Allotment
from registry.party import service as parties
from registry.party.group import Member
from registry.party.models import PartyKind
from registry.party.service import NewParty
from registry.redemption import paying
from registry.redemption.models import RedemptionPayout
from registry.sanctions import lists
from tests import factories as make
from tests import redemptions, sales
from tests.db.tampering import BATCH, NEWEST_MIGRATION_UNDONE, faults, meddle, seal_in_batches
from tests.factories import COMPLIANCE, MAKER, Desk
from tests.sanctioned import ENTRIES, file_of

pytestmark = pytest.mark.db

BEFORE = "0069"
LESS = "it leaves out columns of investor that were sealed before"
IMAGES = "SELECT count(*) FROM legal_history WHERE op = 'ROWS'"


@pytest.fixture
def enrolled(fresh_database: Database, vault: Vault, store: DocumentStore) -> Database:
    """A sealed register with three investors."""
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        for _ in range(3):
            make.enrolled(desk)
        make.tell_acts(session)
    seal_in_batches(fresh_database, BATCH)
    assert faults(fresh_database) == []
    return fresh_database


def count(session: Session, query: str) -> int:
    found = session.connection().scalar(text(query))
    assert isinstance(found, int)
    return found


def investors_of(database: Database) -> list[str]:
    with database.reading() as session:
        ids = session.connection().scalars(text("SELECT id::text FROM investor ORDER BY id"))
        return list(ids)


def test_rows__changed_in_sql_with_the_triggers_on__are_each_named(enrolled: Database) -> None:
    with enrolled.engine.begin() as connection:
        connection.execute(text("UPDATE investor SET kyc_decided_by = 'nobody'"))
    assert seal_all(enrolled) == 1

    found = faults(enrolled)

    assert [fault.partition(":")[0] for fault in found] == [
        f"Row {row} of investor was changed without an act of the journal"
        for row in investors_of(enrolled)
    ]


MEMBERS = "jsonb_set(members, '{0,hissa}', '\"5\"')"


@pytest.mark.parametrize(
    "changed",
    [
        f"UPDATE party SET members = {MEMBERS} WHERE id = :id",
        "UPDATE party SET kind = 'NATURAL', members = '[]' WHERE id = :id",
    ],
)
def test_group__whose_members_were_changed_in_sql__is_named(
    fresh_database: Database, vault: Vault, store: DocumentStore, changed: str
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        members = [Member(make.person(desk).id, part) for part in (1, 2)]
        new = NewParty(kind=PartyKind.GROUP, name="Heirs of Karim Bux", members=members)
        group = parties.create_party(session, vault, MAKER, new).id
        make.tell_acts(session)
    seal_all(fresh_database)
    assert faults(fresh_database) == []

    meddle(fresh_database, changed.replace(":id", f"'{group}'"))

    told = f"Row {group} of party is not what the history last recorded"
    assert faults(fresh_database) == [told]


def test_party__amended__is_what_the_register_says(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        known = make.company(desk)
        parties.amend_party(session, vault, MAKER, known.id, known.version, {"name": "Renamed"})
        make.tell_acts(session)
    seal_all(fresh_database)
    assert faults(fresh_database) == []


def test_rows__put_into_a_recording_that_is_sealed__are_named(enrolled: Database) -> None:
    row = investors_of(enrolled)[0]
    meddle(enrolled, f"UPDATE investor SET subject = 'another' WHERE id = '{row}'")
    with enrolled.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO legal_history (table_name, row_id, op, recording_id, image,"
                " private_salt) SELECT 'investor', i.id, 'ROWS',"
                " (SELECT id FROM recording ORDER BY recorded_at DESC LIMIT 1),"
                " jsonb_build_object('columns', '[\"id\"]'::jsonb, 'rows', jsonb_build_object(i.id,"
                " encode(sha256(convert_to(s.salt::text || jsonb_build_object('id', i.id)::text,"
                " 'UTF8')), 'hex'))), s.salt FROM investor AS i,"
                " (SELECT gen_random_uuid() AS salt OFFSET 0) AS s WHERE i.id = :row"
            ),
            {"row": row},
        )
    assert seal_all(enrolled) == 1

    belated, covering_less = faults(enrolled)

    told = f"Row {row} of investor was recorded after the acts of its recording were sealed"
    assert belated.startswith(told)
    assert covering_less.endswith(LESS)


def test_rows__sealed_with_an_act__are_what_the_register_says(enrolled: Database) -> None:
    with enrolled.transaction() as session:
        session.connection().execute(text("UPDATE investor SET kyc_decided_by = 'an officer'"))
        journal.record(session, THE_SYSTEM, "decided", "investor", "all")
    seal_all(enrolled)

    assert faults(enrolled) == []


def test_image__of_many_rows__has_a_thousand_at_most(enrolled: Database) -> None:
    with enrolled.transaction() as session:
        before = count(session, IMAGES)
        session.connection().execute(
            text(
                "INSERT INTO ledger_entry (id, recorded_at, kind, key, subject_kind, subject_id)"
                " SELECT uuidv7(), now(), 'RECEIPT', number::text, 'order', uuidv7()"
                " FROM generate_series(1, 2500) AS number"
            )
        )
        journal.record(session, THE_SYSTEM, "booked", "order", "all")
        assert count(session, IMAGES) == before + 3
    seal_all(enrolled)
    assert faults(enrolled) == []

    meddle(enrolled, "UPDATE ledger_entry SET kind = 'PAYOUT' WHERE key = '2500'")

    [found] = faults(enrolled)
    assert " of ledger_entry is not what the history last recorded" in found


def test_rows__written_with_a_column_that_is_counted__are_not_sealed_anew(desk: Desk) -> None:
    sale = sales.offering(desk, sales.wrapped_apartment(desk))
    before = count(desk.session, IMAGES)

    desk.session.connection().execute(
        text("UPDATE offering SET reserved_units = 7, last_sold_at = now() WHERE id = :id"),
        {"id": sale.id},
    )
    assert count(desk.session, IMAGES) == before

    desk.session.connection().execute(
        text("UPDATE offering SET price_paisa = 7 WHERE id = :id"), {"id": sale.id}
    )
    assert count(desk.session, IMAGES) == before + 1


@pytest.mark.parametrize("allotment", Allotment)
@pytest.mark.parametrize("act", ["close", "settle"])
def test_sale__of_more_orders__writes_no_more_images(
    desk: Desk, act: str, allotment: Allotment
) -> None:
    """What a close and a settlement write of orders and their money is written by set."""
    few, many = (_images_of(desk, act, allotment, orders) for orders in (4, 9))

    assert few == many


def _images_of(desk: Desk, act: str, allotment: Allotment, orders: int) -> int:
    wrapped = sales.wrapped_apartment(desk)
    sale = sales.offering(desk, wrapped, allotment=allotment, offered_units=60)
    # More are asked for than there are, and one is not paid.
    units = 20 if allotment == Allotment.PRO_RATA else 5
    placed = [sales.order(desk, sale, make.buyer(desk), units) for _ in range(orders + 1)]
    paid: list[UUID] = [sales.pay(desk, order).id for order in placed[1:]]
    before = count(desk.session, IMAGES)
    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    if act == "settle":
        desk.session.flush()
        before = count(desk.session, IMAGES)
        minting.settle_orders(desk.session, paid)
    desk.session.flush()
    return count(desk.session, IMAGES) - before


def test_upgrade__what_stands_there__is_sealed_as_it_stands(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    migrate.downgrade(fresh_database, BEFORE)
    with fresh_database.transaction() as session:
        for _ in range(3):
            make.enrolled(Desk(session, vault, store))
        make.tell_acts(session)
    migrate.upgrade(fresh_database)
    seal_all(fresh_database)
    assert faults(fresh_database) == []
    row = investors_of(fresh_database)[1]

    meddle(fresh_database, f"UPDATE investor SET kyc_state = 'APPROVED' WHERE id = '{row}'")

    told = f"Row {row} of investor is not what the history last recorded"
    assert faults(fresh_database) == [told]


@pytest.mark.parametrize(
    "trace",
    [
        "DROP SCHEMA past CASCADE",
        "COMMENT ON SCHEMA past IS 'an older version'",
        NEWEST_MIGRATION_UNDONE,
    ],
)
def test_rows__changed_while_the_triggers_were_gone__are_named_after_a_restart(
    enrolled: Database, trace: str
) -> None:
    """What put the triggers back must not believe what stands there by then."""
    row = investors_of(enrolled)[0]
    with enrolled.engine.begin() as connection:
        connection.execute(text("DROP FUNCTION seal_rows() CASCADE"))
        connection.execute(
            text("UPDATE investor SET subject = 'another' WHERE id = :row"), {"row": row}
        )
        connection.execute(text(trace))

    migrate.upgrade(enrolled)

    seal_all(enrolled)
    assert faults(enrolled) == [f"Row {row} of investor is not what the history last recorded"]


def test_rows__first_of_their_table_added_while_the_trigger_was_gone__are_named_after_a_restart(
    enrolled: Database,
) -> None:
    with enrolled.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER ledger_entry_sealed_insert ON ledger_entry"))
        connection.execute(text("DROP TRIGGER ledger_entry_sealed_update ON ledger_entry"))
        connection.execute(text("DROP TRIGGER ledger_entry_sealed_delete ON ledger_entry"))
        connection.execute(text("DROP SCHEMA past CASCADE"))
        row = connection.scalar(
            text(
                "INSERT INTO ledger_entry (id, recorded_at, kind, key, subject_kind, subject_id)"
                " VALUES (uuidv7(), now(), 'RECEIPT', 'one', 'order', uuidv7()) RETURNING id"
            )
        )

    migrate.upgrade(enrolled)

    assert faults(enrolled) == [f"Row {row} of ledger_entry is not what the history last recorded"]


def test_function__that_covers_less__is_named_and_so_is_what_it_wrote(enrolled: Database) -> None:
    row = investors_of(enrolled)[0]
    with enrolled.transaction() as session:
        connection = session.connection()
        body = connection.scalar(text("SELECT pg_get_functiondef('seal_rows'::regproc)"))
        assert isinstance(body, str)
        less = body.replace("to_jsonb(c) - aside", "jsonb_build_object('id', c.id)")
        less = less.replace("to_jsonb(b) - aside", "jsonb_build_object('id', b.id, 'was', true)")
        less = less.replace("to_jsonb(columns)", "'[\"id\"]'::jsonb")
        connection.exec_driver_sql(less)
        connection.execute(
            text("UPDATE investor SET subject = 'another' WHERE id = :row"), {"row": row}
        )
        journal.record(session, THE_SYSTEM, "decided", "investor", row)
    seal_all(enrolled)
    meddle(enrolled, f"UPDATE investor SET kyc_state = 'APPROVED' WHERE id = '{row}'")

    wrote, function = faults(enrolled)

    assert wrote.endswith(LESS)
    assert function == "The function seal_rows is gone, or not what the register put up"


def test_rows__taken_away_with_an_act__cover_no_column(enrolled: Database) -> None:
    with enrolled.transaction() as session:
        session.connection().execute(text("SET CONSTRAINTS ALL DEFERRED"))
        session.connection().execute(text("DELETE FROM investor"))
        journal.record(session, THE_SYSTEM, "erased", "investor", "all")
    seal_all(enrolled)

    assert faults(enrolled) == []


@pytest.mark.parametrize("act", ["freeze", "fund", "pay"])
def test_redemption__of_more_holders__writes_no_more_images(desk: Desk, act: str) -> None:
    few, many = (
        _images_of_redemption(desk, act, units) for units in ((750, 150, 100), (750, *[50] * 5))
    )

    assert few == many


def _images_of_redemption(desk: Desk, act: str, units: tuple[int, ...]) -> int:
    made = redemptions.approved(desk, units=units)
    acts: dict[str, Callable[[], object]] = {
        "freeze": lambda: redemptions.freeze(desk, made),
        "fund": lambda: redemptions.fund(desk, made.redemption),
        "pay": lambda: paying.start_paying(desk.session, redemptions.TREASURY, made.redemption.id),
    }
    for name, do in acts.items():
        if name == "pay":
            # So that each is held at once.
            desk.session.execute(update(RedemptionPayout).values(party_id=None))
        before = count(desk.session, IMAGES)
        do()
        desk.session.flush()
        if name == act:
            break
    return count(desk.session, IMAGES) - before


def test_sanctions__of_more_entries__write_no_more_images(desk: Desk) -> None:
    images = []
    for entries, day in ((ENTRIES[:1], "2026-01-01"), (ENTRIES, "2026-01-02")):
        before = count(desk.session, IMAGES)
        content = file_of(entries, generated=f"{day}T00:00:00Z")
        lists.import_list(desk.session, COMPLIANCE, content)
        images.append(count(desk.session, IMAGES) - before)

    assert images == [2, 2]


def test_rows__a_migration_adds_a_column__are_held_to_the_others(enrolled: Database) -> None:
    row = investors_of(enrolled)[2]
    with enrolled.engine.begin() as connection:
        connection.execute(text("ALTER TABLE investor ADD COLUMN remark text DEFAULT 'none'"))
    migrate.upgrade(enrolled)
    assert faults(enrolled) == []
    with enrolled.transaction() as session:
        session.connection().execute(text("UPDATE investor SET remark = 'one'"))
        journal.record(session, THE_SYSTEM, "remarked", "investor", "all")
    seal_all(enrolled)
    assert faults(enrolled) == []

    meddle(enrolled, f"UPDATE investor SET remark = 'two' WHERE id = '{row}'")

    assert faults(enrolled) == [f"Row {row} of investor is not what the history last recorded"]


def test_trigger__of_a_sealed_table_off__is_named(enrolled: Database) -> None:
    with enrolled.engine.begin() as connection:
        connection.execute(text("ALTER TABLE wallet DISABLE TRIGGER wallet_sealed_update"))
        connection.execute(text("DROP TRIGGER payment_sealed_insert ON payment"))

    assert faults(enrolled) == [
        f"The trigger {trigger} of {table} is gone, idle, or not what the register put up"
        for table, trigger in (
            ("payment", "payment_sealed_insert"),
            ("wallet", "wallet_sealed_update"),
        )
    ]


def test_export__has_neither_salt_nor_what_was_hashed(enrolled: Database) -> None:
    with enrolled.reading() as session:
        salts = session.connection().scalars(
            text("SELECT private_salt::text FROM legal_history WHERE op = 'ROWS'")
        )
        hidden = [*salts, *session.connection().scalars(text("SELECT subject FROM investor"))]
        lines = b"\n".join(
            line for line in export_lines(session) if b'"table":"investor"' in line
        ).decode()

    assert investors_of(enrolled)[0] in lines
    assert not [each for each in hidden if each in lines]
