from __future__ import annotations

import pytest

from registry.idempotency import service as idempotency
from registry.idempotency.models import StoredAnswer
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Invalid

pytestmark = pytest.mark.db

HASH, OTHER_HASH = b"\x01" * 32, b"\x02" * 32


def answer(principal: str = "somebody", key: str = "k1") -> StoredAnswer:
    return StoredAnswer(
        principal=principal, key=key, request_hash=HASH, status=201, headers="{}", body=b"{}"
    )


def test_claim__first_time__is_free(fresh_database: Database) -> None:
    with fresh_database.transaction() as session:
        assert idempotency.claim(session, "somebody", "k1", HASH) is None


def test_claim__answered_before__gives_that_answer(fresh_database: Database) -> None:
    with fresh_database.transaction() as session:
        idempotency.claim(session, "somebody", "k1", HASH)
        idempotency.store(session, answer())

    with fresh_database.transaction() as session:
        stored = idempotency.claim(session, "somebody", "k1", HASH)

        assert stored is not None
        assert (stored.status, stored.body) == (201, b"{}")
        assert stored.stored_at is not None


def test_claim__first_request_failed__is_free_again(fresh_database: Database) -> None:
    with pytest.raises(ZeroDivisionError), fresh_database.transaction() as session:  # noqa: PT012
        idempotency.claim(session, "somebody", "k1", HASH)
        idempotency.store(session, answer())
        _ = 1 / 0

    with fresh_database.transaction() as session:
        assert idempotency.claim(session, "somebody", "k1", HASH) is None


def test_claim__first_request_still_runs__is_refused(fresh_database: Database) -> None:
    with fresh_database.transaction() as first, fresh_database.transaction() as second:
        idempotency.claim(first, "somebody", "k1", HASH)

        with pytest.raises(Conflict, match="idempotency_in_flight"):
            idempotency.claim(second, "somebody", "k1", HASH)
        # nobody else's key, and no other key of theirs, is in the way
        assert idempotency.claim(second, "somebody else", "k1", HASH) is None
        assert idempotency.claim(second, "somebody", "k2", HASH) is None


def test_claim__another_request_under_the_key__is_refused(fresh_database: Database) -> None:
    with fresh_database.transaction() as session:
        idempotency.store(session, answer())

    with (
        fresh_database.transaction() as session,
        pytest.raises(Invalid, match="idempotency_key_reused"),
    ):
        idempotency.claim(session, "somebody", "k1", OTHER_HASH)


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_claim__key_of_no_sensible_length__is_refused(fresh_database: Database, key: str) -> None:
    with (
        fresh_database.transaction() as session,
        pytest.raises(Invalid, match="idempotency_key_malformed"),
    ):
        idempotency.claim(session, "somebody", key, HASH)
