"""API keys: made by one, confirmed by another, and never a second pair of eyes of their maker."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from registry.api_key import service as api_keys
from registry.api_key.models import MACHINE_ROLES, KeyState
from registry.api_key.secret import NewSecret
from registry.document import service as documents
from registry.document.intake import NewDocument
from registry.kernel.actor import Actor, Role, person_of
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.onboarding import approvals
from registry.tokenization.liens import put_encumbrance_in_force
from tests import factories as make
from tests import liens
from tests.db.rows import refused_by
from tests.factories import ACTORS, CHECKER, COMPLIANCE, MAKER, Desk
from tests.keys import live_key, proposed_key

pytestmark = pytest.mark.db

BOTH = make.actor(Role.REGISTRAR_MAKER, Role.REGISTRAR_CHECKER, Role.DOCUMENT_VERIFIER)
"""One person with roles on both sides, as a small office has one."""


@pytest.fixture
def system(session: Session) -> Actor:
    """A system of `BOTH`."""
    return live_key(session, BOTH, roles=[Role.REGISTRAR_MAKER])[0].actor


def test_key__proposed_and_confirmed__counts_as_its_maker_s_system(session: Session) -> None:
    key, secret = proposed_key(session, name="land-desk")
    assert key.state_at(now()) == KeyState.PROPOSED

    api_keys.confirm_key(session, CHECKER, key.id)

    found = api_keys.find_key(session, secret)
    assert found is key
    assert key.state_at(now()) == KeyState.ACTIVE
    assert key.state_at(key.expires_at) == KeyState.EXPIRED
    assert key.actor == Actor(f"key:land-desk@{MAKER.subject}", frozenset({Role.REGISTRAR_MAKER}))


def test_key__its_row__holds_no_secret(session: Session) -> None:
    key, secret = live_key(session)

    row = session.connection().execute(
        text("SELECT CAST(to_jsonb(k) AS text) FROM api_key k WHERE id = :id"), {"id": key.id}
    )
    said = row.scalar_one()
    assert key.prefix in said
    assert secret[len("mk_") + 13 :] not in said


def test_find_key__wrong_secret_and_unknown_prefix__are_the_same_to_the_caller(
    session: Session,
) -> None:
    key, secret = live_key(session)
    other = NewSecret.make().text

    assert api_keys.find_key(session, f"mk_{key.prefix}_{other[16:]}") is None
    assert api_keys.find_key(session, other) is None
    assert api_keys.find_key(session, secret[:-1]) is None
    assert api_keys.find_key(session, secret) is key


@pytest.mark.parametrize("role", sorted(set(Role) - MACHINE_ROLES))
def test_propose__role_that_decides__is_refused(session: Session, role: Role) -> None:
    maker = make.actor(role, Role.REGISTRAR_MAKER)

    with pytest.raises(Invalid, match="role_not_for_systems") as refusal:
        proposed_key(session, maker, roles=[Role.REGISTRAR_MAKER, role])
    assert refusal.value.field == "/roles/1"


def test_propose__more_than_the_maker_has__is_refused(session: Session) -> None:
    with pytest.raises(Forbidden, match="role_not_yours"):
        proposed_key(session, MAKER, roles=[Role.REGISTRAR_MAKER, Role.AUDITOR])


@pytest.mark.parametrize("days", [-1, 0, 365.001, 4000])
def test_propose__term_out_of_bounds__is_refused(session: Session, days: float) -> None:
    with pytest.raises(Invalid, match="key_term_wrong"):
        proposed_key(session, expires_at=now() + timedelta(days=days))


def test_confirm__by_whoever_made_it__is_refused_also_by_the_database(session: Session) -> None:
    key, _ = proposed_key(session, BOTH, roles=[Role.REGISTRAR_MAKER])

    with pytest.raises(Forbidden, match="checker_is_maker"):
        api_keys.confirm_key(session, BOTH, key.id)
    for subject in (BOTH.subject, f"key:other@{BOTH.subject}"):
        refused_by(
            session,
            "ck_api_key_four_eyes",
            "UPDATE api_key SET confirmed_by = :who WHERE id = :id",
            id=key.id,
            who=subject,
        )


@pytest.mark.parametrize(
    ("constraint", "change"),
    [
        ("ck_api_key_term", "expires_at = recorded_at + interval '2 years'"),
        ("ck_api_key_hash", "secret_sha256 = '\\x00'"),
        ("ck_api_key_roles", "roles = '[]'"),
        ("ck_api_key_name", "name = 'a@b'"),
    ],
)
def test_database__key_that_is_none__is_refused(
    session: Session, constraint: str, change: str
) -> None:
    key, _ = proposed_key(session)

    refused_by(session, constraint, f"UPDATE api_key SET {change} WHERE id = :id", id=key.id)


def test_key__row_with_a_role_that_no_system_has__does_not_have_it(session: Session) -> None:
    key, _ = live_key(session)
    session.connection().execute(
        text("""UPDATE api_key SET roles = '["registrar_checker", "auditor"]' WHERE id = :id"""),
        {"id": key.id},
    )
    session.refresh(key)

    assert key.actor.roles == {Role.AUDITOR}


def test_confirm__twice_or_after_the_end__is_refused(session: Session) -> None:
    key, _ = live_key(session)
    with pytest.raises(Conflict, match="api_key_confirmed"):
        api_keys.confirm_key(session, make.SECOND_CHECKER, key.id)

    gone, _ = proposed_key(session)
    api_keys.revoke_key(session, MAKER, gone.id, reason="Not needed")
    with pytest.raises(Conflict, match="api_key_ended"):
        api_keys.confirm_key(session, CHECKER, gone.id)
    with pytest.raises(Conflict, match="api_key_ended"):
        api_keys.revoke_key(session, MAKER, gone.id, reason="Again")


def test_keys__of_others__are_not_there_for_those_who_see_their_own(session: Session) -> None:
    key, _ = live_key(session)
    stranger = make.actor(Role.REGISTRAR_MAKER)
    theirs, _ = live_key(session, stranger)

    with pytest.raises(NotFound):
        api_keys.get_key(session, stranger, key.id)
    with pytest.raises(NotFound):
        api_keys.revoke_key(session, stranger, key.id, reason="x")
    with pytest.raises(NotFound):
        api_keys.revoke_key(session, ACTORS[Role.AUDITOR], key.id, reason="may only look")
    assert api_keys.list_keys(session, stranger, after=None, limit=10) == [theirs]
    everything = api_keys.list_keys(session, COMPLIANCE, after=None, limit=10_000)
    assert {key.id, theirs.id} <= {row.id for row in everything}
    assert api_keys.revoke_key(session, COMPLIANCE, theirs.id, reason="Stolen").revoked_by


def test_note_use__within_a_minute__is_noted_once(session: Session) -> None:
    key, _ = live_key(session)
    first = now()

    for seconds in (0, 1, 59):
        api_keys.note_use(session, key.id, first + timedelta(seconds=seconds))
        session.refresh(key)
        assert key.last_used_at == first
    api_keys.note_use(session, key.id, first + timedelta(seconds=61))
    session.refresh(key)
    assert key.last_used_at == first + timedelta(seconds=61)


# Four eyes of people, not of names (APR-01)


def test_paper__uploaded_by_a_system__is_not_verified_by_who_made_its_key(
    desk: Desk, system: Actor
) -> None:
    asset = make.open_apartment(desk)
    new = NewDocument(kind="OTHER_PAPER", file_name="a.pdf", content=BytesIO(make.pdf()))
    paper = documents.upload_document(desk.session, desk.vault, desk.store, system, asset, new)

    with pytest.raises(Forbidden, match="verifier_is_uploader"):
        documents.verify_document(
            desk.session, BOTH, paper.id, source_registry="Sub-Registrar", reference="1/2026"
        )
    make.verify(desk, paper)


def test_dossier__of_a_system__is_not_approved_by_who_made_its_key(
    desk: Desk, system: Actor
) -> None:
    with pytest.raises(Forbidden, match="checker_is_maker"):
        approvals.require_may_approve(BOTH, Role.REGISTRAR_CHECKER, system.subject)
    approvals.require_may_approve(CHECKER, Role.REGISTRAR_CHECKER, system.subject)


def test_dossier__worked_on_by_a_system__is_not_approved_in_another_role(
    desk: Desk, system: Actor
) -> None:
    asset = make.open_apartment(desk)

    def approve(who: Actor) -> Any:
        return approvals.approve(
            desk.session,
            who,
            subject=("asset", asset.id),
            role=Role.REGISTRAR_CHECKER,
            maker=MAKER.subject,
            dossier_hash=bytes(32),
            required=Counter({Role.REGISTRAR_CHECKER: 1}),
            hands=[(system.subject, Role.REGISTRAR_MAKER)],
        )

    with pytest.raises(Forbidden, match="worked_on_it"):
        approve(BOTH)
    approve(CHECKER)


def test_encumbrance__lodged_by_a_system__is_not_activated_by_who_made_its_key(
    desk: Desk, system: Actor
) -> None:
    lien = liens.lodged(desk, make.registered(desk, make.open_apartment(desk)))
    lien.maker = system.subject
    desk.session.flush()

    with pytest.raises(Forbidden, match="checker_is_maker"):
        put_encumbrance_in_force(desk.session, BOTH, lien.id)
    assert put_encumbrance_in_force(desk.session, CHECKER, lien.id).checker == CHECKER.subject


CONSTRAINTS = [
    ("approval", "ck_approval_four_eyes"),
    ("amendment", "ck_amendment_four_eyes"),
    ("legal_case", "ck_legal_case_four_eyes"),
    ("case_lift", "ck_case_lift_four_eyes"),
    ("panel_valuer", "ck_panel_valuer_four_eyes"),
    ("panel_valuer", "ck_panel_valuer_not_by_self"),
    ("mutation", "ck_mutation_four_people"),
    ("api_key", "ck_api_key_four_eyes"),
    ("passkey_invitation", "ck_passkey_invitation_four_eyes"),
    ("enrolment_handover", "ck_enrolment_handover_four_eyes"),
    ("kyc_review", "ck_kyc_review_four_eyes"),
    ("sanctions_hit", "ck_sanctions_hit_four_eyes"),
    ("sanctions_list", "ck_sanctions_list_four_eyes"),
    ("proceeds_payout", "ck_proceeds_payout_four_eyes"),
    ("interest_declaration", "ck_interest_declaration_four_eyes"),
    ("policy_row", "ck_policy_row_four_eyes"),
    ("alert", "ck_alert_four_eyes"),
    ("ctr_filing", "ck_ctr_filing_four_eyes"),
    ("str_case", "ck_str_case_four_eyes"),
    ("incident", "ck_incident_four_eyes"),
    ("energy_reading", "ck_energy_reading_four_eyes"),
]


@pytest.mark.parametrize(("table", "name"), CONSTRAINTS)
def test_database__every_rule_of_four_eyes__compares_persons(
    session: Session, table: str, name: str
) -> None:
    """On both sides of each comparison stands the person."""
    said = session.connection().execute(
        text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name"),
        {"name": name},
    )
    rule = str(said.scalar_one())
    # What is compared with a word, as a state is, is nobody's name.
    compared = re.findall(r"<>(?! \'\w+\'::)", rule)

    assert rule.count("acting_person(") == 2 * len(compared) > 0


def test_database__constraints_of_four_eyes__are_all_known(session: Session) -> None:
    """A new one that compares names would let a maker approve through a key."""
    found = session.connection().execute(
        text(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c'"
            " AND conname ~ '(four_eyes|four_people|not_by_self)'"
        )
    )
    assert {tuple(row) for row in found} == set(CONSTRAINTS)


@pytest.mark.parametrize(
    "subject", ["REG-7", "key:desk@REG-7", "key:desk@a@b", "a@b", "key:", "key:@", "KEY:a@b", "ق@ك"]
)
def test_acting_person__in_the_database__is_the_same_as_here(
    session: Session, subject: str
) -> None:
    said = session.connection().execute(text("SELECT acting_person(:who)"), {"who": subject})

    assert said.scalar_one() == person_of(subject)


def test_approval__in_the_database_by_who_made_the_system_s_key__is_refused(
    desk: Desk, system: Actor
) -> None:
    asset = make.in_review(desk, make.open_apartment(desk))
    make.approve(desk, asset, Role.LEGAL_COUNSEL)

    refused_by(
        desk.session,
        "ck_approval_four_eyes",
        "UPDATE approval SET maker = :system, person = :person WHERE subject_id = :id",
        system=system.subject,
        person=BOTH.subject,
        id=asset.id,
    )
