"""Lists taken in whole or not at all, everybody screened, and hits decided by two officers."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from registry.document.store import DocumentStore
from registry.investor import service as investors
from registry.investor.models import Investor, KycState
from registry.journal.models import JournalEntry
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.kernel.vault import Vault
from registry.kyc_standing import service as standing
from registry.operation.models import OperationKind
from registry.party import service as parties
from registry.party.details import known_of
from registry.party.models import Party, PartyKind
from registry.party.service import NewParty
from registry.sanctions import hits, lists
from registry.sanctions.models import HitState, SanctionsEntry, SanctionsHit, SanctionsList, Verdict
from registry.sanctions.screening import count_left, is_screened, screen_due, screen_party
from tests import cases as make_case
from tests import factories as make
from tests import kyc, ledger
from tests.factories import COMPLIANCE, Desk
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER
from tests.sanctioned import ENTRIES, Entry, file_of, xml_of

pytestmark = pytest.mark.db

LISTED = "Mohammad Usman Barlasi"
WHY = "Another date of birth and another father."


def enrolled(desk: Desk, name: str = LISTED, born: int = 1971) -> tuple[Actor, Investor]:
    who = make.actor(Role.INVESTOR)
    number = next(make.numbers)
    new = NewParty(
        kind=PartyKind.NATURAL,
        name=name,
        cnic=f"61101-{number:07}-2",
        dob=date(born, 5, 6),
        nationality="PK",
    )
    return who, investors.enrol_person(desk.session, desk.vault, who, new)


def found(session: Session) -> list[SanctionsHit]:
    return list(session.exec(select(SanctionsHit).order_by(col(SanctionsHit.id))).all())


def decide(desk: Desk, hit: SanctionsHit, verdict: Verdict) -> None:
    hits.recommend_hit(desk.session, FIRST_OFFICER, hit.id, verdict=verdict, reason=WHY)
    standing.confirm_hit(desk.session, SECOND_OFFICER, hit.id, reason=WHY)


def test_import__again_older_or_broken__changes_nothing(desk: Desk) -> None:
    edition = lists.import_list(desk.session, COMPLIANCE, file_of())
    assert (edition.entries, edition.size_bytes) == (len(ENTRIES), len(file_of().getvalue()))

    with pytest.raises(Conflict, match="sanctions_list_known"):
        lists.import_list(desk.session, COMPLIANCE, file_of())
    with pytest.raises(Conflict, match="sanctions_list_older"):
        lists.import_list(desk.session, COMPLIANCE, file_of(generated="2026-05-01T00:00:00Z"))
    broken = BytesIO(xml_of(generated="2026-07-01T00:00:00Z").encode()[:-60])
    with pytest.raises(Invalid, match="sanctions_list_malformed"):
        lists.import_list(desk.session, COMPLIANCE, broken)
    twice = file_of([ENTRIES[0], ENTRIES[0]], generated="2026-07-01T00:00:00Z")
    with pytest.raises(Invalid, match="stands twice"), desk.session.begin_nested():
        lists.import_list(desk.session, COMPLIANCE, twice)

    assert lists.find_current(desk.session) == edition
    assert len(desk.session.exec(select(SanctionsList)).all()) == 1
    assert len(desk.session.exec(select(SanctionsEntry)).all()) == len(ENTRIES)


def edition_of(desk: Desk, entries: int, month: int, who: Actor = FIRST_OFFICER) -> SanctionsList:
    """Take in an edition of so many entries, generated in a month."""
    named = [Entry(f"XXi.{number:03}", f"Somebody Number{number}zai") for number in range(entries)]
    content = file_of(named, generated=f"2026-{month:02}-01T00:00:00Z")
    return lists.import_list(desk.session, who, content)


def test_import__of_far_fewer__counts_once_another_officer_confirms(desk: Desk) -> None:
    first = edition_of(desk, 8, 1)
    _, investor = enrolled(desk)
    screen_party(desk.session, desk.vault, investor.party_id)
    small = edition_of(desk, 3, 2)
    assert (first.needs_confirmation, small.needs_confirmation) == (False, True)
    assert lists.find_current(desk.session) == first
    assert is_screened(desk.session, investor.party_id)

    with pytest.raises(Forbidden, match="checker_is_maker"):
        lists.confirm_list(desk.session, FIRST_OFFICER, small.id)
    lists.confirm_list(desk.session, SECOND_OFFICER, small.id)

    assert lists.find_current(desk.session) == small
    assert not is_screened(desk.session, investor.party_id)
    for edition in (first, small):
        with pytest.raises(Conflict, match="sanctions_list_counts"):
            lists.confirm_list(desk.session, SECOND_OFFICER, edition.id)
    # From now on it is what others are measured by.
    assert not edition_of(desk, 2, 3).needs_confirmation


def test_import__as_many_but_of_other_people__needs_another_officer_too(desk: Desk) -> None:
    edition_of(desk, 8, 1)
    invented = [Entry(f"XXz.{number:03}", f"Nobody Number{number}pur") for number in range(8)]
    edition = lists.import_list(
        desk.session, FIRST_OFFICER, file_of(invented, generated="2026-02-01T00:00:00Z")
    )
    assert edition.needs_confirmation
    renamed = [Entry(f"XXi.{number:03}", f"Nobody Number{number}pur") for number in range(8)]
    edition = lists.import_list(
        desk.session, FIRST_OFFICER, file_of(renamed, generated="2026-03-01T00:00:00Z")
    )
    assert edition.needs_confirmation


def test_import__of_fewer_step_by_step__needs_another_officer_too(desk: Desk) -> None:
    needed = [edition_of(desk, size, month).needs_confirmation
              for month, size in enumerate((9, 5, 3, 2, 6), start=1)]  # fmt: skip
    assert needed == [False, False, True, True, False]


def test_confirm__an_edition_older_than_the_one_in_use__is_refused(desk: Desk) -> None:
    edition_of(desk, 8, 1)
    small = edition_of(desk, 3, 2)
    whole = edition_of(desk, 9, 3)

    with pytest.raises(Conflict, match="sanctions_list_older"):
        lists.confirm_list(desk.session, SECOND_OFFICER, small.id)
    assert lists.find_current(desk.session) == whole


def test_import__true_list_after_a_wrong_one_of_many__comes_back(desk: Desk) -> None:
    edition_of(desk, 4, 1)
    edition_of(desk, 40, 2)
    true = edition_of(desk, 5, 3)
    lists.confirm_list(desk.session, SECOND_OFFICER, true.id)
    assert lists.find_current(desk.session) == true
    assert not edition_of(desk, 5, 4).needs_confirmation


def test_import__larger_than_allowed__is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MAX_LIST_BYTES", 100)

    with pytest.raises(Invalid, match="sanctions_list_too_large"):
        lists.import_list(desk.session, COMPLIANCE, file_of())


def test_submission__of_somebody_who_is_named__waits_for_two_officers(desk: Desk) -> None:
    lists.import_list(desk.session, COMPLIANCE, file_of())
    who, investor = enrolled(desk)
    make.proven_wallet(desk, who, investor.id)
    review = kyc.recommended(desk, who, investor)
    [hit] = found(desk.session)
    assert (hit.reference, hit.state, hit.score) == ("XXi.001", HitState.OPEN, 100)

    with pytest.raises(Conflict, match="sanctions_hit_stands"):
        kyc.approve(desk, review)
    with pytest.raises(Conflict, match="sanctions_hit_not_recommended"):
        hits.confirm_hit(desk.session, SECOND_OFFICER, hit.id, reason=WHY)
    hits.recommend_hit(
        desk.session, FIRST_OFFICER, hit.id, verdict=Verdict.FALSE_POSITIVE, reason=WHY
    )
    with pytest.raises(Forbidden, match="checker_is_maker"):
        hits.confirm_hit(desk.session, FIRST_OFFICER, hit.id, reason=WHY)
    hits.return_hit(desk.session, SECOND_OFFICER, hit.id, reason="Show the birth certificate.")
    assert hit.state == HitState.OPEN
    decide(desk, hit, Verdict.FALSE_POSITIVE)
    kyc.approve(desk, review)

    assert investor.kyc_state == KycState.APPROVED
    with pytest.raises(Conflict, match="sanctions_hit_decided"):
        hits.recommend_hit(
            desk.session, FIRST_OFFICER, hit.id, verdict=Verdict.TRUE_MATCH, reason=WHY
        )


def test_hit__four_eyes_by_hand_in_the_database__are_refused(desk: Desk) -> None:
    lists.import_list(desk.session, COMPLIANCE, file_of())
    _, investor = enrolled(desk)
    [hit] = screen_party(desk.session, desk.vault, investor.party_id)
    hit.maker = hit.checker = FIRST_OFFICER.subject

    with pytest.raises(IntegrityError, match="ck_sanctions_hit_four_eyes"):
        desk.session.flush()


def test_true_match__of_a_holder__freezes_and_revokes_at_once(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    holder = chain.holders[0]
    party = desk.session.get_one(Party, holder.investor.party_id)
    name = known_of(desk.vault, party).name or ""
    listed = Entry("XXi.077", name.replace("Buyer", "Buyer Nobodyzai"), [("Good", name)])
    lists.import_list(desk.session, COMPLIANCE, file_of([listed]))
    [hit] = screen_party(desk.session, desk.vault, party.id)

    decide(desk, hit, Verdict.TRUE_MATCH)

    assert holder.investor.kyc_state == KycState.REVOKED
    assert len(make_case.planned(desk, OperationKind.REVOKE_CLAIM)) == 1
    assert make_case.planned(desk, OperationKind.CASE_ACT)[-1].params["act"] == "FREEZE_WALLET"
    renewal = kyc.recommended(desk, holder.actor, holder.investor)
    with pytest.raises(Conflict, match="sanctions_hit_stands"):
        kyc.approve(desk, renewal)


def test_reopen__of_a_true_match__blocks_until_two_decide_anew(desk: Desk) -> None:
    lists.import_list(desk.session, COMPLIANCE, file_of())
    who, investor = enrolled(desk)
    make.proven_wallet(desk, who, investor.id)
    review = kyc.recommended(desk, who, investor)
    [hit] = found(desk.session)
    with pytest.raises(Conflict, match="sanctions_hit_not_decided"):
        hits.reopen_hit(desk.session, FIRST_OFFICER, hit.id, reason=WHY)
    decide(desk, hit, Verdict.TRUE_MATCH)

    hits.reopen_hit(desk.session, FIRST_OFFICER, hit.id, reason="Taken off the list in June.")

    assert (hit.state, hit.maker, hit.verdict, hit.checker) == (HitState.OPEN, None, None, None)
    with pytest.raises(Conflict, match="sanctions_hit_stands"):
        kyc.approve(desk, review)
    decide(desk, hit, Verdict.FALSE_POSITIVE)
    kyc.approve(desk, review)
    assert investor.kyc_state == KycState.APPROVED
    facts = [
        entry.facts
        for entry in desk.session.exec(select(JournalEntry).order_by(col(JournalEntry.id)))
        if entry.act == "sanctions_hit_reopened" and entry.subject_id == str(hit.id)
    ]
    assert [(fact["was"], fact["state"]) for fact in facts] == [("TRUE_MATCH", "OPEN")]


def test_reopen__of_a_false_positive__ends_the_kyc_where_it_is_a_match(desk: Desk) -> None:
    lists.import_list(desk.session, COMPLIANCE, file_of())
    who, investor = enrolled(desk)
    [hit] = screen_party(desk.session, desk.vault, investor.party_id)
    decide(desk, hit, Verdict.FALSE_POSITIVE)
    make.pass_kyc(desk, who, investor)

    hits.reopen_hit(desk.session, SECOND_OFFICER, hit.id, reason="His passport came in.")
    with pytest.raises(Conflict, match="sanctions_hit_stands"):
        hits.require_unlisted(desk.session, investor.party_id)
    decide(desk, hit, Verdict.TRUE_MATCH)

    assert investor.kyc_state == KycState.REVOKED


def test_false_positive__of_a_pair__is_remembered_until_either_side_changes(desk: Desk) -> None:
    lists.import_list(desk.session, COMPLIANCE, file_of())
    _, investor = enrolled(desk)
    [hit] = screen_party(desk.session, desk.vault, investor.party_id)
    decide(desk, hit, Verdict.FALSE_POSITIVE)

    # Another edition that says the same of this person.
    others = [*ENTRIES, Entry("XXi.100", "Somebody Else Entirely")]
    lists.import_list(desk.session, COMPLIANCE, file_of(others, generated="2026-07-01T00:00:00Z"))
    assert not is_screened(desk.session, investor.party_id)
    assert screen_party(desk.session, desk.vault, investor.party_id) == []

    # One that says more of them.
    more = [Entry("XXi.001", "Muhammad Usman Barlasi", born=1972), *ENTRIES[1:]]
    lists.import_list(desk.session, COMPLIANCE, file_of(more, generated="2026-08-01T00:00:00Z"))
    [again] = screen_party(desk.session, desk.vault, investor.party_id)
    decide(desk, again, Verdict.FALSE_POSITIVE)

    # And a party of whom we know more.
    party = desk.session.get_one(Party, investor.party_id)
    changes = {"name_ur": "محمد عثمان برلاسی"}
    parties.amend_party(desk.session, desk.vault, COMPLIANCE, party.id, party.version, changes)
    assert not is_screened(desk.session, party.id)
    [third] = screen_party(desk.session, desk.vault, party.id)
    assert third.state == HitState.OPEN


def test_approve__before_the_screening_has_come_to_them__is_refused(desk: Desk) -> None:
    who, investor = enrolled(desk, "Saleem Unlisted Qureshi", 1990)
    make.proven_wallet(desk, who, investor.id)
    review = kyc.recommended(desk, who, investor)
    lists.import_list(desk.session, COMPLIANCE, file_of())

    with pytest.raises(Conflict, match="sanctions_not_screened"):
        kyc.approve(desk, review)
    screen_party(desk.session, desk.vault, investor.party_id)
    kyc.approve(desk, review)


def test_bulk__in_batches_and_stopped_between__screens_each_once(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        for number in range(7):
            enrolled(desk, LISTED if number == 3 else f"Unlisted Person{number} Qureshi", 1971)
        make.company(desk)
    assert screen_due(fresh_database, vault) == 0
    with fresh_database.transaction() as session:
        edition = lists.import_list(session, COMPLIANCE, file_of())
        left = count_left(session, edition)

    done = [screen_due(fresh_database, vault, batch=3) for _ in range(2)]
    with fresh_database.reading() as session:
        assert count_left(session, edition) == left - sum(done)
    while screened := screen_due(fresh_database, vault, batch=3):
        done.append(screened)

    assert (sum(done), max(done)) == (left, 3)
    with fresh_database.reading() as session:
        assert [hit.reference for hit in found(session)] == ["XXi.001"]
        assert count_left(session, edition) == 0
