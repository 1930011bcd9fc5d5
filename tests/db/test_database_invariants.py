"""What the database refuses by itself: every statement here goes past the services."""

from __future__ import annotations

import pytest
from sqlmodel import Session

from tests.db.rows import (
    approval,
    asset,
    document,
    execute,
    insert,
    offering,
    operation,
    refused_by,
    title,
    tokenization,
)

pytestmark = pytest.mark.db

SHA256 = bytes(range(32))


# KEY-01


def test_key_01__second_live_claim__is_refused(session: Session) -> None:
    insert(session, "underlying_key", asset_id=asset(session), key="APT|A|B|C", live=True)
    second = insert(session, "underlying_key", asset_id=asset(session), key="APT|A|B|C", live=False)

    refused_by(
        session,
        "uq_underlying_key_live",
        "UPDATE underlying_key SET live = true WHERE id = :id",
        id=second,
    )


def test_key_01__claims_that_are_not_live__may_repeat(session: Session) -> None:
    first = insert(session, "underlying_key", asset_id=asset(session), key="APT|A|B|C", live=True)
    second = insert(session, "underlying_key", asset_id=asset(session), key="APT|A|B|C", live=False)

    execute(session, "UPDATE underlying_key SET live = false WHERE id = :id", id=first)
    execute(session, "UPDATE underlying_key SET live = true WHERE id = :id", id=second)


# TOK-01


@pytest.mark.parametrize("state", ["PROPOSED", "STRUCTURED", "LIVE", "PAUSED", "UNWINDING"])
def test_tok_01__second_tokenization_alive__is_refused(session: Session, state: str) -> None:
    asset_id = asset(session)
    tokenization(session, asset_id, state=state)
    ended = tokenization(session, asset_id, state="CANCELLED")

    refused_by(
        session,
        "uq_tokenization_alive",
        "UPDATE tokenization SET state = 'STRUCTURED' WHERE id = :id",
        id=ended,
    )


@pytest.mark.parametrize("state", ["BURNED", "CANCELLED"])
def test_tok_01__after_the_first_ended__is_accepted(session: Session, state: str) -> None:
    asset_id = asset(session)
    tokenization(session, asset_id, state=state)
    tokenization(session, asset_id, state=state)
    tokenization(session, asset_id)


def test_tokenization__symbol_of_another__is_refused(session: Session) -> None:
    tokenization(session, asset(session), symbol="SAME")
    other = tokenization(session, asset(session), symbol="OTHER")

    refused_by(
        session,
        "uq_tokenization_symbol",
        "UPDATE tokenization SET symbol = 'SAME' WHERE id = :id",
        id=other,
    )


@pytest.mark.parametrize(
    ("constraint", "change"),
    [
        ("ck_tokenization_fractions", "declared_fractions = 0"),
        ("ck_tokenization_price", "price_paisa = 0"),
        ("ck_tokenization_economic_share", "economic_share_num = 0"),
        ("ck_tokenization_economic_share", "economic_share_num = 2"),
        ("ck_tokenization_economic_share", "economic_share_num = -1, economic_share_den = -1"),
    ],
)
def test_tokenization__impossible_terms__are_refused(
    session: Session, constraint: str, change: str
) -> None:
    tokenization_id = tokenization(session, asset(session))

    refused_by(
        session, constraint, f"UPDATE tokenization SET {change} WHERE id = :id", id=tokenization_id
    )


# ENC-03


@pytest.mark.parametrize("state", ["ACTIVE", "DISCHARGE_PENDING", "ENFORCEMENT"])
def test_enc_03__rank_of_a_live_interest__is_refused(session: Session, state: str) -> None:
    title_id = title(session)
    first = {"title_id": title_id, "rank": 1, "state": state}
    _encumbrance(session, **first)
    lodged = _encumbrance(session, **first | {"state": "LODGED"})

    refused_by(
        session,
        "uq_encumbrance_rank",
        "UPDATE encumbrance SET state = 'ACTIVE' WHERE id = :id",
        id=lodged,
    )


@pytest.mark.parametrize("state", ["LODGED", "DISCHARGED", "ENFORCED", "LAPSED", "REJECTED"])
def test_enc_03__rank_of_one_that_is_not_in_force__is_free(session: Session, state: str) -> None:
    title_id = title(session)
    _encumbrance(session, title_id=title_id, rank=1, state=state)
    _encumbrance(session, title_id=title_id, rank=1, state="ACTIVE")


def test_enc_03__rank_on_another_title__is_free(session: Session) -> None:
    _encumbrance(session, title_id=title(session), rank=1, state="ACTIVE")
    _encumbrance(session, title_id=title(session), rank=1, state="ACTIVE")


def _encumbrance(session: Session, **columns: object) -> object:
    source = document(session, asset(session), _fresh_hash(session))
    values = {
        "kind": "MORTGAGE",
        "effect": "BLOCK_TOKENIZE",
        "lender_consent": False,
        "source_document_id": source,
        "maker": "sql",
    }
    return insert(session, "encumbrance", **values | columns)


def _fresh_hash(session: Session) -> bytes:
    found = session.connection().exec_driver_sql("SELECT sha256(gen_random_uuid()::text::bytea)")
    return bytes(found.scalar_one())


# DOC-01


@pytest.mark.parametrize("state", ["UPLOADED", "PENDING_VERIFICATION", "VERIFIED", "REVOKED"])
def test_doc_01__same_bytes_under_two_assets__is_refused(session: Session, state: str) -> None:
    document(session, asset(session), SHA256, state)
    other = document(session, asset(session), SHA256, "REJECTED")

    refused_by(
        session,
        "uq_document_sha256",
        "UPDATE document SET state = 'PENDING_VERIFICATION' WHERE id = :id",
        id=other,
    )


def test_doc_01__bytes_that_were_rejected__may_be_filed_again(session: Session) -> None:
    document(session, asset(session), SHA256, "REJECTED")
    document(session, asset(session), SHA256, "REJECTED")
    document(session, asset(session), SHA256, "VERIFIED")


# APR-01


def test_apr_01__approval_by_the_maker__is_refused(session: Session) -> None:
    approval_id = approval(session, asset(session))

    refused_by(
        session,
        "ck_approval_four_eyes",
        "UPDATE approval SET person = maker WHERE id = :id",
        id=approval_id,
    )


def test_apr_01__one_person_in_two_roles__is_refused(session: Session) -> None:
    asset_id = asset(session)
    approval(session, asset_id, person="somebody", role="compliance")
    other = approval(session, asset_id, person="somebody else", role="registrar_checker")

    refused_by(
        session,
        "uq_approval_person",
        "UPDATE approval SET person = 'somebody' WHERE id = :id",
        id=other,
    )


def test_apr_01__same_person_on_another_dossier__is_accepted(session: Session) -> None:
    asset_id = asset(session)
    approval(session, asset_id, person="somebody")
    approval(session, asset_id, person="somebody", dossier_hash=b"\x02" * 32)
    approval(session, asset(session), person="somebody")


# AUD-01


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE journal_entry SET act = 'nothing happened'",
        "UPDATE journal_entry SET act = act WHERE false",
        "DELETE FROM journal_entry",
        "TRUNCATE journal_entry",
        "TRUNCATE journal_entry CASCADE",
    ],
)
def test_aud_01__journal_changed__is_refused(session: Session, change: str) -> None:
    insert(
        session,
        "journal_entry",
        actor="sql",
        act="asset_reject",
        subject_kind="asset",
        subject_id="1",
        facts={},
    )

    refused_by(session, "aud_01", change)

    found = session.connection().exec_driver_sql("SELECT act FROM journal_entry")
    assert found.scalars().all() == ["asset_reject"]


# Offerings


@pytest.mark.parametrize("reserved", [101, -1])
def test_offering__more_reserved_than_offered__is_refused(session: Session, reserved: int) -> None:
    offering_id = offering(session, tokenization(session, asset(session)), reserved_units=100)

    refused_by(
        session,
        "ck_offering_not_oversold",
        "UPDATE offering SET reserved_units = :reserved WHERE id = :id",
        reserved=reserved,
        id=offering_id,
    )


def test_offering__offer_cut_below_what_is_reserved__is_refused(session: Session) -> None:
    offering_id = offering(session, tokenization(session, asset(session)), reserved_units=100)

    refused_by(
        session,
        "ck_offering_not_oversold",
        "UPDATE offering SET offered_units = 99 WHERE id = :id",
        id=offering_id,
    )


@pytest.mark.parametrize(
    ("constraint", "change"),
    [
        ("ck_offering_ticket", "min_ticket_units = 0"),
        ("ck_offering_minimum", "minimum_units = -1"),
        ("ck_offering_minimum", "minimum_units = 101"),
        ("ck_offering_kind", "kind = 'SECONDARY', payment_hours = 24"),
    ],
)
def test_offering__impossible_terms__are_refused(
    session: Session, constraint: str, change: str
) -> None:
    offering_id = offering(session, tokenization(session, asset(session)))

    refused_by(session, constraint, f"UPDATE offering SET {change} WHERE id = :id", id=offering_id)


def test_offering__second_first_sale_of_a_token__is_refused(session: Session) -> None:
    offering(session, tokenization(session, asset(session)))
    first = tokenization(session, asset(session))
    offering(session, first)

    refused_by(
        session,
        "uq_offering_primary",
        "UPDATE offering SET tokenization_id = :first",
        first=first,
    )


# Operations


def test_operation__nonce_of_another__is_refused(session: Session) -> None:
    operation(session, signer=b"\x01" * 20, nonce=7)
    other = operation(session, signer=b"\x01" * 20, nonce=8)

    refused_by(
        session,
        "uq_operation_signer_nonce",
        "UPDATE operation SET nonce = 7 WHERE id = :id",
        id=other,
    )


def test_operation__same_nonce_of_another_signer__is_accepted(session: Session) -> None:
    operation(session, signer=b"\x01" * 20, nonce=7)
    operation(session, signer=b"\x02" * 20, nonce=7)


@pytest.mark.parametrize("change", ["nonce = 7", "signer = '\\x01'"])
def test_operation__nonce_without_its_signer__is_refused(session: Session, change: str) -> None:
    operation_id = operation(session)

    refused_by(
        session,
        "ck_operation_nonce_owned",
        f"UPDATE operation SET {change} WHERE id = :id",
        id=operation_id,
    )


def test_operation__key_of_another__is_refused(session: Session) -> None:
    operation(session, key="mint:order:1")
    other = operation(session)

    refused_by(
        session,
        "operation_key_key",
        "UPDATE operation SET key = 'mint:order:1' WHERE id = :id",
        id=other,
    )
