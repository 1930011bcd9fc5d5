"""Tokens that were adopted before their rows said so: the journal tells."""

from __future__ import annotations

import pytest
from sqlmodel import col, select

from registry.captable import catching_up
from registry.captable.events import ProjectedToken
from registry.captable.models import Token
from registry.kernel import migrate
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.db import Database

pytestmark = pytest.mark.db

BEFORE = "0070"
OURS, THEIRS = b"\xaa" * 20, b"\xbb" * 20


def test_upgrade__tokens_of_before__are_adopted_where_the_journal_says_so(
    fresh_database: Database,
) -> None:
    with fresh_database.transaction() as session:
        for chain_id, address in ((1, OURS), (1, THEIRS), (2, THEIRS)):
            found = ProjectedToken(
                address=address, identity_registry=address, compliance=address, block_number=7
            )
            if (chain_id, address) == (2, THEIRS):
                catching_up.adopt(session, THE_SYSTEM, chain_id, found)
            else:
                session.add(
                    Token(
                        chain_id=chain_id,
                        address=address,
                        identity_registry=address,
                        compliance=address,
                        block_number=7,
                    )
                )
    migrate.downgrade(fresh_database, BEFORE)

    migrate.upgrade(fresh_database)

    with fresh_database.reading() as session:
        adopted = session.exec(
            select(Token.chain_id, Token.address).where(col(Token.is_adopted))
        ).all()
    assert list(adopted) == [(2, THEIRS)]
