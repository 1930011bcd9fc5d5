"""Each rule of a class on a recorded dossier: what is broken fires, and nothing else does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from registry.asset.models import Asset, AssetClass, AssetState
from registry.document import service as documents
from registry.kernel.clock import today
from registry.offering import service as offerings
from registry.offering.terms import OfferTerms
from registry.rulebook.service import RulesRefused
from registry.title import service as titles
from registry.tokenization import service as tokenizations
from registry.valuation import service as valuations
from tests import factories as make
from tests import sales
from tests.dossiers import LATER, open_sample, sample
from tests.factories import COMPLIANCE, MAKER, Desk
from tests.sales import Wrapped

pytestmark = pytest.mark.db

FARMLAND, BULLION = AssetClass.LAND_AGRICULTURAL, AssetClass.COMMODITY_BULLION
EBL, WHEAT = AssetClass.SHIPPING_EBL, AssetClass.COMMODITY_WAREHOUSED
SITE, FLEET = AssetClass.ENERGY_MINING_SITE, AssetClass.ENERGY_MINING_FLEET


def handed_in(desk: Desk, asset: Asset) -> list[str]:
    """Submit with every paper, and return the rules that failed."""
    make.file_required(desk, asset)
    make.value(desk, asset)
    run = make.submit(desk, asset)
    return [row["id"] for row in run.results if not row["passed"]]


def wrapped(desk: Desk, asset_class: AssetClass, **changes: Any) -> Wrapped:
    vehicle = make.company(desk)
    asset = make.registered(desk, open_sample(desk, asset_class, vehicle, **changes))
    sales.name_wrapper(desk, asset, vehicle)
    return Wrapped(asset, make.issuer(desk, vehicle))


def let_age(desk: Desk, asset: Asset, *, days: int) -> None:
    """Let the asset's value be as old as that: time is what no test may wait for."""
    for valuation in valuations.list_valuations(desk.session, asset.id):
        valuation.basis_date = today() - timedelta(days=days)
    desk.session.flush()


@pytest.mark.parametrize("asset_class", AssetClass)
def test_sound_dossier__of_every_class__comes_into_the_register(
    desk: Desk, asset_class: AssetClass
) -> None:
    held = wrapped(desk, asset_class)
    run = tokenizations.run_gate(desk.session, MAKER, held.asset.id)

    assert held.asset.state == AssetState.REGISTERED
    assert [row["id"] for row in run.results if not row["passed"]] == []


def bar(**changes: str) -> list[dict[str, str]]:
    first, *others = sample(BULLION).details["bars"]
    return [{**first, **changes}, *others]


BROKEN: list[tuple[str, AssetClass, dict[str, Any]]] = [
    ("PAR-03", FARMLAND, {"area_kms": [20, 7, 4]}),
    ("TTL-02", EBL, {"containers": []}),
    ("ID-02", EBL, {"containers": [
        {"no": "ZZZU1000016", "seal": "S", "gross_kg": "2", "net_kg": "1"}]}),
    ("ID-03", EBL, {"imo": "IMO 0123451"}),
    ("ID-05", EBL, {"hs": ["1006"]}),
    ("ID-05", WHEAT, {"hs": "10019"}),
    ("ID-06", EBL, {"universal_voyage": "26D1"}),
    ("EBL-01", EBL, {"containers": [
        {"no": "ZZZU1000015", "seal": "S", "gross_kg": "2", "net_kg": "1"}] * 2}),
    ("EWR-01", WHEAT, {"pledged_kg": "2500001"}),
    ("BUL-01", BULLION, {"fine_oz_total": "799.924"}),
    ("NRG-01", SITE, {"contracted_mw": "21.3324"}),
    ("NRG-03", SITE, {"hashrate_phs": "1207.6"}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "asset_class", "changes"), BROKEN)
def test_submission__one_rule_of_the_class_broken__fires_exactly_it(
    desk: Desk, rule: str, asset_class: AssetClass, changes: dict[str, Any]
) -> None:
    asset = open_sample(desk, asset_class, **changes)

    assert handed_in(desk, asset) == [rule]
    # a rule of less than critical severity is noted, and lets the dossier pass
    noted = rule == "NRG-03"
    assert asset.state == (AssetState.IN_REVIEW if noted else AssetState.REQUISITIONED)


def test_submission__unknown_port__fires_exactly_id_04(desk: Desk) -> None:
    asset = open_sample(desk, EBL)
    asset.location = asset.location | {"unlocode_pod": "AEZZZ"}
    desk.session.flush()

    assert handed_in(desk, asset) == ["ID-04"]


def test_submission__machine_listed_twice__fires_exactly_nrg_02(desk: Desk) -> None:
    asset = open_sample(desk, FLEET)
    machines = asset.details["machines"]
    asset.details = asset.details | {"machines": [machines[0], machines[0]]}
    desk.session.flush()

    assert handed_in(desk, asset) == ["NRG-02"]


def test_submission__urban_title_on_the_record_of_rights__fires_exactly_ttl_06(desk: Desk) -> None:
    asset = open_sample(desk, AssetClass.LAND_APARTMENT)
    title = titles.title_of_asset(desk.session, asset.id)
    ownership = titles.ownership_of(desk.session, titles.current_version(desk.session, title.id))
    titles.restate_title(desk.session, MAKER, title, basis="RECORD_OF_RIGHTS", ownership=ownership)

    assert handed_in(desk, asset) == ["TTL-06"]


def test_gate__required_paper_ran_out__fires_exactly_doc_02(desk: Desk) -> None:
    held = wrapped(desk, AssetClass.LAND_APARTMENT)
    for paper in documents.list_documents(desk.session, held.asset.id):
        if paper.kind == "NEC":
            paper.valid_until = today() - timedelta(days=1)
    desk.session.flush()

    run = tokenizations.run_gate(desk.session, MAKER, held.asset.id)

    assert [row["id"] for row in run.results if not row["passed"]] == ["DOC-02"]


@pytest.mark.parametrize(
    "asset_class",
    [
        AssetClass.LAND_COMMERCIAL,
        WHEAT,
        AssetClass.SHIPPING_CONTRACT,
        AssetClass.ENERGY_GENERATION,
        SITE,
        FLEET,
    ],
)
def test_structure__token_that_outlives_the_right__is_refused_by_tok_06(
    desk: Desk, asset_class: AssetClass
) -> None:
    held = wrapped(desk, asset_class)
    last_day = today().fromisoformat(LATER)

    with pytest.raises(RulesRefused) as refusal:
        sales.structured(desk, held, maturity=last_day + timedelta(days=1))

    assert [rule.id for rule in refusal.value.failed] == ["TOK-06"]
    assert sales.structured(desk, held, maturity=last_day).maturity == last_day


def test_open_offering__bullion_priced_two_days_ago__waits_for_the_price_of_the_day(
    desk: Desk,
) -> None:
    held = wrapped(desk, BULLION)
    tokenization = sales.deployed(desk, held)
    let_age(desk, held.asset, days=2)

    def opened() -> Any:
        terms = OfferTerms(offered_units=10)
        return offerings.open_offering(desk.session, COMPLIANCE, tokenization.id, terms)

    with pytest.raises(RulesRefused) as refusal:
        opened()
    assert [rule.id for rule in refusal.value.failed] == ["VAL-02"]

    let_age(desk, held.asset, days=1)
    assert opened().offered_units == 10


def test_open_offering__land_valued_months_ago__opens(desk: Desk) -> None:
    held = wrapped(desk, AssetClass.LAND_PLOT)
    tokenization = sales.deployed(desk, held)
    let_age(desk, held.asset, days=180)

    terms = OfferTerms(offered_units=10)
    assert offerings.open_offering(desk.session, COMPLIANCE, tokenization.id, terms)
