"""Fixtures that break exactly one rule of shares, versions, titles and mutations."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from uuid import UUID

from sqlmodel import col, select

from registry.kernel.clock import now
from registry.mutation.forms import Side
from registry.mutation.models import Initiation
from registry.title import service as titles
from registry.title import versions
from registry.title.models import Title, TitleShare
from tests import deeds
from tests import factories as make
from tests.db.rows import execute, version
from tests.factories import Desk
from tests.invariants.fired import violates


@violates("SHR-01")
def share_that_shrinks(desk: Desk) -> None:
    title, *_ = deeds.half_and_half(desk)
    current = titles.current_version(desk.session, title.id)
    execute(desk.session, "UPDATE title_version SET kul_hissay = 3 WHERE id = :id", id=current.id)


@violates("SHR-01")
def shares_that_are_emptied(desk: Desk) -> None:
    execute(desk.session, "TRUNCATE title_share CASCADE")


@violates("SHR-02")
def buyers_who_take_less(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    buyer = make.person(desk)
    new = deeds.sale(seller, buyer, kul_hissay=8)
    deeds.entered(
        desk, title, replace(new, sellers=[Side(seller.id, 3)], buyers=[Side(buyer.id, 2)])
    )


@violates("SHR-03")
def seller_who_gives_too_much(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    deeds.entered(desk, title, deeds.sale(seller, make.person(desk), Fraction(3, 4)))


@violates("SHR-03")
def row_that_changed_since_entry(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.attested(
        desk, deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    )
    right = versions.right_of(desk.session, titles.current_version(desk.session, title.id))
    versions.replace_version(desk.session, title, replace(right, valid_from=now()))
    deeds.implement(desk, mutation)


@violates("VER-01")
def versions_that_overlap(desk: Desk) -> None:
    title, *_ = deeds.half_and_half(desk)
    version(desk.session, title.id, seq=99, shares=[1], valid_from="2027-01-01T00:00:00Z")


@violates("TTL-01")
def active_title_without_a_right(desk: Desk) -> None:
    title, *_ = deeds.half_and_half(desk)
    titles.current_version(desk.session, title.id).superseded_at = now()
    desk.session.flush()


@violates("TTL-06")
def word_of_mouth_in_town(desk: Desk) -> None:
    owner = make.person(desk)
    asset = make.registered(desk, make.open_apartment(desk, owner))
    title = titles.title_of_asset(desk.session, asset.id)
    sale = deeds.sale(owner, make.person(desk), initiation=Initiation.ORAL)
    deeds.entered(desk, title, sale)


def _pending(desk: Desk) -> tuple[Title, UUID]:
    title, seller, _ = deeds.half_and_half(desk)
    return title, deeds.entered(desk, title, deeds.sale(seller, make.person(desk))).id


@violates("MUT-01")
def second_mutation(desk: Desk) -> None:
    title, _ = _pending(desk)
    owner = desk.session.exec(
        select(TitleShare.party_id).where(
            col(TitleShare.version_id) == titles.current_version(desk.session, title.id).id
        )
    ).all()[0]
    buyer = make.person(desk)
    sale = deeds.sale(buyer, buyer)
    deeds.entered(desk, title, replace(sale, sellers=[Side(owner, 1)], buyers=[Side(buyer.id, 1)]))


@violates("MUT-01")
def second_mutation_past_the_service(desk: Desk) -> None:
    title, _ = _pending(desk)
    _, other = _pending(desk)
    execute(
        desk.session,
        "INSERT INTO mutation_title (mutation_id, title_id, part, open)"
        " VALUES (:mutation, :title, 'SUBJECT', true)",
        mutation=other,
        title=title.id,
    )


@violates("MUT-02")
def predecessor_that_waits(desk: Desk) -> None:
    _, before = _pending(desk)
    title, seller, _ = deeds.half_and_half(desk)
    sale = deeds.sale(seller, make.person(desk), predecessor_id=before)
    deeds.passed(desk, title, sale)


@violates("MUT-03")
def implemented_mutation_edited(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.passed(desk, title, deeds.sale(seller, make.person(desk)))
    execute(desk.session, "UPDATE mutation SET number = 'another' WHERE id = :id", id=mutation.id)


@violates("APR-01")
def one_person_for_two(desk: Desk) -> None:
    _, mutation_id = _pending(desk)
    execute(
        desk.session,
        "UPDATE mutation SET revenue_officer = maker WHERE id = :id",
        id=mutation_id,
    )
