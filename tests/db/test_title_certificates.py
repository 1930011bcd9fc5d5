"""Certificates of title: what they say, and what of the register ends them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import col, select

from registry.asset.models import Asset
from registry.certificate import audit, rotation
from registry.certificate import service as certificates
from registry.certificate.models import Certificate
from registry.certificate.standing import Cause, CertificateState, standing_of
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import EncumbranceKind
from registry.journal.models import JournalEntry
from registry.kernel.actor import Role
from registry.kernel.canonical import record_hash
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, NotFound
from registry.party import service as parties
from registry.party.details import known_of
from registry.party.models import Party
from registry.title import service as titles
from registry.title.versions import current_version, ownership_of, replace_version, right_of
from tests import factories as make
from tests import liens
from tests import standing as states
from tests.factories import CHECKER, COMPLIANCE, MAKER, Desk

pytestmark = pytest.mark.db

WHY = {"purpose": "Sale to a buyer of the bank's", "legal_basis": "Application of the owner"}


@pytest.fixture
def asset(desk: Desk) -> Asset:
    return make.registered(desk, make.open_apartment(desk))


def issue(desk: Desk, asset: Asset) -> Certificate:
    title = titles.title_of_asset(desk.session, asset.id)
    return certificates.issue_title(desk.session, desk.vault, MAKER, title.id, **WHY)


def acts(desk: Desk, act: str) -> list[JournalEntry]:
    query = select(JournalEntry).where(col(JournalEntry.act) == act)
    return list(desk.session.exec(query).all())


def test_issue__title__says_who_owns_and_the_journal_has_its_hash(desk: Desk, asset: Asset) -> None:
    lien = liens.active(desk, asset)
    issued = issue(desk, asset)

    content = certificates.content_of(desk.vault, issued)
    assert content["asset"]["code"] == asset.code
    assert [owner["fraction"] for owner in content["owners"]] == ["1"]
    assert all(owner["name"] for owner in content["owners"])
    assert content["encumbrances"][0]["id"] == str(lien.id)
    assert content["encumbrances"][0]["amount"] == {"amount": "18000000.00", "currency": "PKR"}
    (act,) = acts(desk, "certificate_issued")
    assert act.facts == {
        "kind": "TITLE",
        "content_sha256": record_hash(content).hex(),
        **WHY,
    }
    read = acts(desk, "personal_data_read")
    assert [entry.facts["purpose"] for entry in read] == [WHY["purpose"]]
    assert read[0].subject_id == content["owners"][0]["party_id"]


def test_issue__twice__is_another_certificate_with_another_hash(desk: Desk, asset: Asset) -> None:
    first, second = issue(desk, asset), issue(desk, asset)

    assert first.id != second.id
    assert first.content_sha256 != second.content_sha256


def test_issue__by_an_investor__is_refused(desk: Desk, asset: Asset) -> None:
    title = titles.title_of_asset(desk.session, asset.id)
    with pytest.raises(Forbidden) as refusal:
        certificates.issue_title(
            desk.session, desk.vault, make.actor(Role.INVESTOR), title.id, **WHY
        )
    assert refusal.value.code == "certificate_not_allowed"


def test_issue__title_that_is_only_claimed__is_refused(desk: Desk) -> None:
    claimed = make.open_apartment(desk)
    with pytest.raises(Conflict) as refusal:
        issue(desk, claimed)
    assert refusal.value.code == "title_not_in_force"


def test_read__of_another_officer__does_not_exist(desk: Desk, asset: Asset) -> None:
    issued = issue(desk, asset)

    assert certificates.get_own(desk.session, MAKER, issued.id).id == issued.id
    with pytest.raises(NotFound):
        certificates.get_own(desk.session, CHECKER, issued.id)
    assert certificates.list_own(desk.session, CHECKER, after=None, limit=5) == []


def lien_added(desk: Desk, asset: Asset) -> None:
    liens.active(desk, asset, EncumbranceKind.STAY_ORDER)


def lien_discharged(desk: Desk, asset: Asset) -> None:
    title = titles.title_of_asset(desk.session, asset.id)
    (lien,) = encumbrances.in_force(desk.session, title.id)
    liens.discharged(desk, lien)


def title_moved(desk: Desk, asset: Asset) -> None:
    title = titles.title_of_asset(desk.session, asset.id)
    right = right_of(desk.session, current_version(desk.session, title.id))
    replace_version(desk.session, title, replace(right, valid_from=now(), basis="COURT_DECREE"))


def title_disputed(desk: Desk, asset: Asset) -> None:
    title = titles.title_of_asset(desk.session, asset.id)
    titles.dispute_title(
        desk.session, COMPLIANCE, title.id, reference="Suit 7/2026", reason="Two sons claim it"
    )


def asset_suspended(desk: Desk, asset: Asset) -> None:
    states.suspend(desk, asset)


def place_amended(desk: Desk, asset: Asset) -> None:
    amend(desk, asset, location={**asset.location, "tehsil": "Model Town"})


def regime_amended(desk: Desk, asset: Asset) -> None:
    for kind in ("LDA_TRANSFER_DEED", "NDC"):
        make.file_document(desk, asset, kind)
    amend(desk, asset, title_regime="LDA_ALLOTMENT")


def amend(desk: Desk, asset: Asset, **changes: Any) -> None:
    states.approve_amendment(desk, asset, states.propose(desk, asset, **changes))


def owner_renamed(desk: Desk, asset: Asset) -> None:
    owner = desk.session.get_one(Party, owner_of(desk, asset))
    parties.amend_party(
        desk.session, desk.vault, MAKER, owner.id, owner.version, {"name": "Renamed"}
    )


def owner_of(desk: Desk, asset: Asset) -> UUID:
    title = titles.title_of_asset(desk.session, asset.id)
    (share,) = ownership_of(desk.session, current_version(desk.session, title.id)).shares
    return share.party_id


@pytest.mark.parametrize(
    ("happens", "cause", "by"),
    [
        (place_amended, Cause.ASSET_AMENDED, None),
        (regime_amended, Cause.ASSET_AMENDED, None),
        (owner_renamed, Cause.NAME_AMENDED, None),
        (lien_added, Cause.ENCUMBRANCE_ADDED, None),
        (lien_discharged, Cause.ENCUMBRANCE_ENDED, None),
        (title_moved, Cause.TITLE_VERSION, "3"),
        (title_disputed, Cause.TITLE_STATE, "DISPUTED"),
        (asset_suspended, Cause.ASSET_STATE, "SUSPENDED"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_standing__register_says_something_else__is_superseded_and_says_since_when(
    desk: Desk,
    asset: Asset,
    happens: Callable[[Desk, Asset], None],
    cause: Cause,
    by: str | None,
) -> None:
    if happens is lien_discharged:
        liens.active(desk, asset)
    issued = issue(desk, asset)
    assert standing_of(desk.session, issued).state is CertificateState.VALID
    before = now()

    happens(desk, asset)

    standing = standing_of(desk.session, issued)
    assert standing.state is CertificateState.SUPERSEDED
    (change,) = [found for found in standing.changes if found.cause is cause]
    assert change.by == by
    assert change.at is not None
    assert before <= change.at <= now()
    assert standing_of(desk.session, issue(desk, asset)).state is CertificateState.VALID


def test_standing__what_is_not_printed_was_amended__holds(desk: Desk, asset: Asset) -> None:
    issued = issue(desk, asset)
    amend(desk, asset)
    owner = desk.session.get_one(Party, owner_of(desk, asset))
    # A form sends what it shows: the name as it stands is no other name.
    changes = {"name": known_of(desk.vault, owner).name, "residence_country": "AE"}
    parties.amend_party(desk.session, desk.vault, MAKER, owner.id, owner.version, changes)

    (act,) = acts(desk, "party_amended")
    assert act.facts == {"fields": ["residence_country"]}
    assert standing_of(desk.session, issued).state is CertificateState.VALID


def test_standing__asset_suspended_and_reinstated__holds_again(desk: Desk, asset: Asset) -> None:
    issued = issue(desk, asset)
    states.suspend(desk, asset)
    told = issue(desk, asset)
    assert certificates.content_of(desk.vault, told)["asset"]["state"] == "SUSPENDED"

    states.close_causes(desk, asset)
    for role in (Role.COMPLIANCE, Role.REGISTRAR_CHECKER):
        states.agree(desk, asset, role)

    assert standing_of(desk.session, issued).state is CertificateState.VALID
    (change,) = standing_of(desk.session, told).changes
    assert (change.cause, change.by) == (Cause.ASSET_STATE, "REGISTERED")


@pytest.mark.parametrize("happens", [title_disputed, asset_suspended])
def test_standing__issued_before_states_were_kept__is_held_to_the_acts_of_then(
    desk: Desk, asset: Asset, happens: Callable[[Desk, Asset], None]
) -> None:
    issued = issue(desk, asset)
    issued.told = {"encumbrances": issued.told["encumbrances"]}
    desk.session.flush()
    assert standing_of(desk.session, issued).state is CertificateState.VALID

    happens(desk, asset)

    assert standing_of(desk.session, issued).state is CertificateState.SUPERSEDED


def test_revoke__once__is_never_valid_again(desk: Desk, asset: Asset) -> None:
    issued = issue(desk, asset)
    certificates.revoke(desk.session, COMPLIANCE, issued.id, reason="Of the wrong apartment")

    assert standing_of(desk.session, issued).state is CertificateState.REVOKED
    with pytest.raises(Conflict) as refusal:
        certificates.revoke(desk.session, COMPLIANCE, issued.id, reason="Once more")
    assert refusal.value.code == "certificate_revoked"


def test_content__altered_at_rest__is_not_handed_out(desk: Desk, asset: Asset) -> None:
    issued = issue(desk, asset)
    content = certificates.content_of(desk.vault, issued)
    content["owners"][0]["fraction"] = "1/2"
    issued.sealed = desk.vault.seal(json.dumps(content))

    with pytest.raises(Conflict) as refusal:
        certificates.content_of(desk.vault, issued)
    assert refusal.value.code == "certificate_altered"


@pytest.mark.parametrize(
    "said",
    [
        "35202-1234567-1",
        "[1]",
        '"a name"',
        '{"number": 1e400}',
        '{"number": 123456789012345678901234567890}',
        "",
    ],
)
def test_content__something_else_that_opens_was_moved_here__is_told_by_the_audit(
    desk: Desk, asset: Asset, said: str
) -> None:
    moved, whole = issue(desk, asset), issue(desk, asset)
    moved.sealed = desk.vault.seal(said)
    desk.session.flush()

    with pytest.raises(Conflict, match="certificate_altered"):
        certificates.content_of(desk.vault, moved)
    # It goes on with what comes after.
    assert list(audit.altered(desk.session, desk.vault)) == [
        f"Row {moved.id} of certificate: its content is not what was issued"
    ]
    assert certificates.content_of(desk.vault, whole)


def test_reseal__under_another_key__opens_as_before(desk: Desk, asset: Asset) -> None:
    issued = issue(desk, asset)
    content = certificates.content_of(desk.vault, issued)
    issued.sealed_with = b"\0" * 8
    desk.session.flush()

    assert rotation.count_left(desk.session, desk.vault) == 1
    assert rotation.list_left(desk.session, desk.vault, after=None, limit=5) == [issued.id]
    assert rotation.reseal_one(desk.session, desk.vault, issued.id)
    assert rotation.count_left(desk.session, desk.vault) == 0
    assert certificates.content_of(desk.vault, issued) == content
