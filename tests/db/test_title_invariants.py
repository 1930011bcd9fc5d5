"""SHR-01 and VER-01, kept by the database whatever the code above it does."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from registry.kernel.db import Database
from tests.db.rows import execute, party, refused_by, settle, share, title, version

pytestmark = pytest.mark.db

OVERLAP = "ex_title_version_overlap"


def test_shr_01__shares_make_the_whole__are_accepted(session: Session) -> None:
    version(session, title(session), shares=[7, 1, 8])

    settle(session)


@pytest.mark.parametrize("kul_hissay", [15, 17])
def test_shr_01__version_with_another_whole__is_refused(session: Session, kul_hissay: int) -> None:
    version_id = version(session, title(session), shares=[7, 1, 8])
    settle(session)

    refused_by(
        session,
        "shr_01",
        "UPDATE title_version SET kul_hissay = :whole WHERE id = :id",
        whole=kul_hissay,
        id=version_id,
    )


def test_shr_01__version_without_shares__is_refused(session: Session) -> None:
    version(session, title(session))

    with pytest.raises(IntegrityError, match="SHR-01"):
        settle(session)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE title_share SET hissa = hissa + 1 WHERE version_id = :id",
        "UPDATE title_share SET hissa = hissa - 1 WHERE version_id = :id AND hissa > 1",
        "DELETE FROM title_share WHERE version_id = :id AND hissa = 1",
        "DELETE FROM title_share WHERE version_id = :id",
        "INSERT INTO title_share SELECT :id, id, 1 FROM party WHERE name = 'A stranger'",
    ],
)
def test_shr_01__one_share_changed__is_refused(session: Session, change: str) -> None:
    version_id = version(session, title(session), shares=[7, 1, 8])
    party(session, name="A stranger")
    settle(session)

    refused_by(session, "shr_01", change, id=version_id)


def test_shr_01__share_moved_to_another_version__is_refused_for_both(session: Session) -> None:
    short = version(session, title(session), shares=[7, 1])
    full = version(session, title(session), shares=[5])
    settle(session)
    execute(session, "UPDATE title_version SET kul_hissay = 6 WHERE id = :id", id=full)

    # the version that gains the share is whole; the one that loses it is not
    refused_by(
        session,
        "shr_01",
        "UPDATE title_share SET version_id = :full WHERE version_id = :short AND hissa = 1",
        full=full,
        short=short,
    )


def test_shr_01__shares_rewritten_within_one_transaction__are_accepted(session: Session) -> None:
    version_id = version(session, title(session), shares=[7, 1])
    settle(session)

    execute(session, "DELETE FROM title_share WHERE version_id = :id", id=version_id)
    share(session, version_id, 8)

    settle(session)


def test_shr_01__sum_beyond_64_bits__is_refused_not_wrapped(session: Session) -> None:
    version_id = version(session, title(session), shares=[1])
    stranger = party(session)

    refused_by(
        session,
        "shr_01",
        "INSERT INTO title_share VALUES (:version, :party, 9223372036854775807)",
        version=version_id,
        party=stranger,
    )


def test_shr_01__at_commit__the_whole_transaction_fails(fresh_database: Database) -> None:
    with pytest.raises(IntegrityError, match="SHR-01"), fresh_database.transaction() as session:
        version(session, title(session), shares=[1, 1], kul_hissay=3)

    with fresh_database.reading() as reader:
        assert reader.connection().exec_driver_sql("SELECT count(*) FROM title").scalar() == 0


@pytest.mark.parametrize("hissa", [0, -1])
def test_share__not_positive__is_refused(session: Session, hissa: int) -> None:
    version_id = version(session, title(session), shares=[1])

    refused_by(
        session,
        "ck_title_share_positive",
        "UPDATE title_share SET hissa = :hissa WHERE version_id = :id",
        hissa=hissa,
        id=version_id,
    )


def test_ver_01__versions_one_after_the_other__are_accepted(session: Session) -> None:
    title_id = title(session)
    for year in (2024, 2025, 2026):
        version(
            session,
            title_id,
            shares=[1],
            valid_from=f"{year}-01-01T00:00:00Z",
            valid_to=f"{year + 1}-01-01T00:00:00Z",
        )

    settle(session)


@pytest.mark.parametrize(
    ("valid_from", "valid_to"),
    [
        ("2025-06-01T00:00:00Z", None),
        ("2023-01-01T00:00:00Z", None),
        ("2023-01-01T00:00:00Z", "2025-01-01T00:00:00.000001Z"),
        ("2025-12-31T23:59:59.999999Z", "2027-01-01T00:00:00Z"),
        ("2025-02-01T00:00:00Z", "2025-03-01T00:00:00Z"),
    ],
)
def test_ver_01__overlapping_version__is_refused(
    session: Session, valid_from: str, valid_to: str | None
) -> None:
    title_id = title(session)
    version(
        session,
        title_id,
        shares=[1],
        valid_from="2025-01-01T00:00:00Z",
        valid_to="2026-01-01T00:00:00Z",
    )
    other = version(
        session, title_id, shares=[1], valid_from="2000-01-01T00:00:00Z", valid_to="2000-01-02Z"
    )

    refused_by(
        session,
        OVERLAP,
        "UPDATE title_version SET valid_from = CAST(:start AS timestamptz),"
        " valid_to = CAST(:end AS timestamptz) WHERE id = :id",
        start=valid_from,
        end=valid_to,
        id=other,
    )


def test_ver_01__what_we_no_longer_believe__may_overlap(session: Session) -> None:
    title_id = title(session)
    version(session, title_id, shares=[1], superseded_at="2026-02-01T00:00:00Z")
    version(session, title_id, shares=[2])

    settle(session)


def test_ver_01__versions_of_two_titles__may_overlap(session: Session) -> None:
    version(session, title(session), shares=[1])
    version(session, title(session), shares=[1])

    settle(session)


def test_version__ends_before_it_begins__is_refused(session: Session) -> None:
    version_id = version(session, title(session), shares=[1])

    refused_by(
        session,
        "ck_title_version_valid",
        "UPDATE title_version SET valid_to = valid_from WHERE id = :id",
        id=version_id,
    )


def test_version__number_of_another__is_refused(session: Session) -> None:
    title_id = title(session)
    version(session, title_id, shares=[1], seq=1, superseded_at="2026-02-01T00:00:00Z")
    other = version(session, title_id, shares=[1], seq=2)

    refused_by(
        session, "uq_title_version_seq", "UPDATE title_version SET seq = 1 WHERE id = :id", id=other
    )
