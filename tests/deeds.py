"""Mutations in every state that a test begins with, each the work of four people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from registry.asset.models import Asset, AssetClass, AssetState
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.mutation import service as mutations
from registry.mutation.forms import NewMutation, Side
from registry.mutation.models import Initiation, Mutation, MutationKind
from registry.mutation.service import Instrument
from registry.onboarding.service import Dossier
from registry.party.models import Party
from registry.title import service as titles
from registry.title.models import Title
from registry.title.rules import Ownership, Share, check_ownership
from registry.tokenization import mutations as token_mutations
from tests import factories as make
from tests.factories import ACTORS, CHECKER, MAKER, Desk

FIELD_VERIFIER = ACTORS[Role.FIELD_VERIFIER]
REVENUE_OFFICER = ACTORS[Role.REVENUE_OFFICER]

Kms = tuple[int, int, str]
ACRE: Kms = (8, 0, "0")


def owned(**hissa: tuple[Party, int]) -> Ownership:
    """Give each party so many parts: ``owned(a=(party, 7), b=(other, 9))``."""
    shares = [Share(party.id, parts) for party, parts in hissa.values()]
    return check_ownership(sum(share.hissa for share in shares), shares)


def farm_dossier(
    ownership: Ownership, *, area: Kms = ACRE, fields: Sequence[Kms] | None = None, **changes: Any
) -> Dossier:
    """Describe farmland of as many khasras as there are `fields`, numbered anew."""
    khasras = [(f"{next(make.numbers)}", field) for field in fields or [area]]
    dossier = Dossier(
        title_regime="REVENUE_RECORD_RURAL",
        location={
            "province": "PK-PB",
            "district": "Okara",
            "tehsil": "Depalpur",
            "mauza": "Chak Demo 12",
            "hadbast_no": "999",
        },
        details={
            "khasras": [{"no": number, "area_kms": list(field)} for number, field in khasras],
            "area_kms": list(area),
            "marla_kind": "MARLA_272_25",
        },
        underlying_keys=[f"KHASRA|PK-PB|OKARA|DEPALPUR|999|{number}" for number, _ in khasras],
        ownership=ownership,
    )
    return replace(dossier, **changes)


def draft_farm(desk: Desk, ownership: Ownership, **changes: Any) -> Asset:
    return make.open_dossier(desk, AssetClass.LAND_AGRICULTURAL, farm_dossier(ownership, **changes))


def farm(desk: Desk, ownership: Ownership, **changes: Any) -> Title:
    """Register farmland, and return its active title."""
    asset = make.registered(desk, draft_farm(desk, ownership, **changes))
    return titles.title_of_asset(desk.session, asset.id)


def half_and_half(desk: Desk) -> tuple[Title, Party, Party]:
    one, other = make.person(desk), make.person(desk)
    return farm(desk, make.owned_by(one, other)), one, other


def number() -> str:
    return f"{next(make.numbers)}/2026"


def sale(
    seller: Party, buyer: Party, part: Fraction = Fraction(1, 4), **changes: Any
) -> NewMutation:
    """Sell a part of the whole title by a registered deed."""
    new = NewMutation(
        kind=MutationKind.SALE,
        initiation=Initiation.REGISTERED_DEED,
        number=number(),
        kul_hissay=part.denominator,
        sellers=[Side(seller.id, part.numerator)],
        buyers=[Side(buyer.id, part.numerator)],
    )
    return replace(new, **changes)


def entered(desk: Desk, title: Title, new: NewMutation) -> Mutation:
    return mutations.lodge_mutation(desk.session, MAKER, title.id, new)


def instrument(desk: Desk, mutation: Mutation, **changes: Any) -> Instrument:
    """File a verified paper, and name everything that any initiation needs."""
    title = titles.get_title(desk.session, mutation.title_id)
    asset = desk.session.get_one(Asset, title.asset_id)
    if "source_document_id" not in changes:
        changes["source_document_id"] = make.file_document(desk, asset, "MUTATION_ORDER").id
    complete = Instrument(
        source_document_id=changes["source_document_id"],
        fee_receipt_no="F-1",
        notice_on=today(),
        rapat_no="77",
        rapat_on=today(),
        deed_no="1204",
        court="Civil Judge, Okara",
        misl_no="88",
        decree_on=today(),
    )
    return replace(complete, **changes)


def completed(desk: Desk, mutation: Mutation) -> Mutation:
    return mutations.complete_mutation(desk.session, MAKER, mutation.id, instrument(desk, mutation))


def verified(desk: Desk, mutation: Mutation) -> Mutation:
    completed(desk, mutation)
    return mutations.verify_mutation(desk.session, FIELD_VERIFIER, mutation.id)


def attested(desk: Desk, mutation: Mutation) -> Mutation:
    verified(desk, mutation)
    return attest(desk, mutation)


def attest(desk: Desk, mutation: Mutation) -> Mutation:
    return mutations.attest_mutation(
        desk.session, REVENUE_OFFICER, mutation.id, order_text="Attested in open assembly."
    )


def implement(desk: Desk, mutation: Mutation) -> Mutation:
    return mutations.implement_mutation(desk.session, CHECKER, mutation.id, appeal_filed=False)


def implemented(desk: Desk, mutation: Mutation) -> Mutation:
    return implement(desk, attested(desk, mutation))


def passed(desk: Desk, title: Title, new: NewMutation) -> Mutation:
    """Take a mutation the whole way."""
    return implemented(desk, entered(desk, title, new))


def court_sale(desk: Desk, asset: Asset) -> Mutation:
    """Have a court sell all of an asset to somebody else, and dealings in it stop."""
    title = titles.title_of_asset(desk.session, asset.id)
    owner = now_owned(desk, title).shares[0].party_id
    auction = sale(
        make.person(desk), make.person(desk), Fraction(1),
        kind=MutationKind.COURT_SALE, initiation=Initiation.COURT, sellers=[Side(owner, 1)],
    )  # fmt: skip
    mutation = attested(desk, entered(desk, title, auction))
    token_mutations.implement_mutation(desk.session, CHECKER, mutation.id, appeal_filed=False)
    assert asset.state == AssetState.SUSPENDED
    return mutation


def compensating(mutation: Mutation) -> NewMutation:
    """Undo a mutation under an appellate order."""
    return NewMutation(
        kind=MutationKind.COURT_DECREE,
        initiation=Initiation.COURT,
        number=number(),
        reverses_id=mutation.id,
    )


def now_owned(desk: Desk, title: Title) -> Ownership:
    return titles.ownership_of(desk.session, titles.current_version(desk.session, title.id))


def fractions_of(ownership: Ownership, *parties: Party) -> list[Fraction]:
    assert sum(ownership.fraction_of(share.party_id) for share in ownership.shares) == 1
    return [ownership.fraction_of(party.id) for party in parties]


def refusal(act: Callable[[], object]) -> tuple[str, str | None]:
    with pytest.raises((Conflict, Forbidden, Invalid)) as refused:
        act()
    return refused.value.code, refused.value.rule
