"""Certificates that are issued while somebody corrects what they print."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlmodel import Session

from registry.asset.models import Asset
from registry.certificate import service as certificates
from registry.certificate.models import Certificate
from registry.certificate.standing import CertificateState, standing_of
from registry.document.store import DocumentStore
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.party import service as parties
from registry.party.models import Party
from registry.title import service as titles
from registry.title.versions import current_version, ownership_of
from tests import factories as make
from tests import ledger
from tests import standing as states
from tests.db.races import meanwhile
from tests.factories import MAKER, Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db

DeskMaker = Callable[[Session], Desk]
WHY = {"purpose": "Sale to a buyer of the bank's", "legal_basis": "Application of the owner"}
NEW_NAME, NEW_TEHSIL = "Ayesha Corrected", "Model Town"


@pytest.fixture
def desk_of(vault: Vault, store: DocumentStore) -> DeskMaker:
    return lambda session: Desk(session, vault, store)


def rename(desk: Desk, party_id: UUID) -> None:
    party = desk.session.get_one(Party, party_id)
    changes = {"name": NEW_NAME}
    parties.amend_party(desk.session, desk.vault, MAKER, party.id, party.version, changes)


def amend_place(desk: Desk, asset_id: UUID) -> None:
    asset = desk.session.get_one(Asset, asset_id)
    place = {**asset.location, "tehsil": NEW_TEHSIL}
    states.approve_amendment(desk, asset, states.propose(desk, asset, location=place))


def issue_holding(desk: Desk, chain: Ledger) -> Certificate:
    return certificates.issue_holding(
        desk.session, desk.vault, chain.holders[0].actor, chain.tokenization.id,
        chain_id=chain.chain_id, needed=0, write_address=bytes.hex,
    )  # fmt: skip


def printed(
    database: Database,
    desk_of: DeskMaker,
    changes: Callable[[Desk], None],
    issues: Callable[[Desk], Certificate],
) -> str:
    """Issue a certificate in the middle of a change, and give what the valid one says."""
    with database.transaction() as session:
        changes(desk_of(session))
        with meanwhile(database, lambda other: issues(desk_of(other)).id) as issued:
            session.commit()
    with database.transaction() as session:
        found = session.get_one(Certificate, issued.result())
        assert standing_of(session, found).state is CertificateState.VALID
        return str(certificates.content_of(desk_of(session).vault, found))


def test_issue__title_while_its_owner_is_renamed__has_the_new_name(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        asset = make.registered(desk, make.open_apartment(desk))
        title = titles.title_of_asset(session, asset.id)
        (share,) = ownership_of(session, current_version(session, title.id)).shares
        title_id, owner_id = title.id, share.party_id

    def issue(desk: Desk) -> Certificate:
        return certificates.issue_title(desk.session, desk.vault, MAKER, title_id, **WHY)

    told = printed(fresh_database, desk_of, lambda desk: rename(desk, owner_id), issue)

    assert NEW_NAME in told


@pytest.mark.parametrize("what", ["name", "place"])
def test_issue__holding_while_something_it_prints_is_corrected__has_the_correction(
    fresh_database: Database, desk_of: DeskMaker, what: str
) -> None:
    with fresh_database.transaction() as session:
        chain = ledger.live(desk_of(session), 900, 100)
        holder_id, asset_id = chain.holders[0].investor.party_id, chain.tokenization.asset_id

    def correct(desk: Desk) -> None:
        if what == "name":
            rename(desk, holder_id)
        else:
            amend_place(desk, asset_id)

    told = printed(fresh_database, desk_of, correct, lambda desk: issue_holding(desk, chain))

    assert {"name": NEW_NAME, "place": NEW_TEHSIL}[what] in told
