"""Fixtures that break one rule of what a dossier says of the thing itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from registry.asset import service as assets
from registry.asset.models import AssetClass
from registry.kernel.clock import today
from registry.onboarding.service import Dossier
from registry.rulebook.models import RuleRun
from registry.tokenization import service as tokenizations
from tests import deeds, goods, sales
from tests import factories as make
from tests.db import rows
from tests.dossiers import open_sample, sample, square
from tests.factories import MAKER, Desk
from tests.invariants.fired import violates


def handed_in(desk: Desk, asset_class: AssetClass, **changes: Any) -> RuleRun:
    """Open a sound dossier with some fields changed, and submit it with all its papers."""
    asset = open_sample(desk, asset_class, **changes)
    make.file_required(desk, asset)
    return make.submit(desk, asset)


def ground(number: str, area: list[Any], geom: dict[str, Any] | None = None) -> dict[str, Any]:
    khasra: dict[str, Any] = {"no": number, "area_kms": area}
    return khasra if geom is None else khasra | {"geom": geom}


def farm(desk: Desk, khasras: list[dict[str, Any]], area: list[Any]) -> RuleRun:
    numbers = [khasra["no"] for khasra in khasras]
    dossier = deeds.farm_dossier(
        make.owned_by(make.person(desk)),
        details={"khasras": khasras, "area_kms": area, "marla_kind": "MARLA_272_25"},
        underlying_keys=[f"KHASRA|PK-PB|OKARA|DEPALPUR|999|{number}" for number in numbers]
        or ["KHASRA|PK-PB|OKARA|DEPALPUR|999|1"],
    )
    asset = make.open_dossier(desk, AssetClass.LAND_AGRICULTURAL, dossier)
    make.file_required(desk, asset)
    return make.submit(desk, asset)


# Identifiers


@violates("ID-01")
def cnic_that_begins_with_zero(desk: Desk) -> object:
    return make.person(desk, cnic="05202-1234567-1")


@violates("ID-02")
def container_with_a_wrong_check_digit(desk: Desk) -> object:
    box = {"no": "ZZZU1000016", "seal": "SL1", "gross_kg": "25300", "net_kg": "25000"}
    return handed_in(desk, AssetClass.SHIPPING_EBL, containers=[box])


@violates("ID-03")
def ship_with_a_wrong_check_digit(desk: Desk) -> object:
    return handed_in(desk, AssetClass.SHIPPING_EBL, imo="IMO 0123451")


@violates("ID-04")
def port_that_nobody_knows(desk: Desk) -> object:
    wanted = sample(AssetClass.SHIPPING_EBL, next(make.numbers))
    asset = make.open_dossier(
        desk,
        AssetClass.SHIPPING_EBL,
        Dossier(
            title_regime=wanted.regime,
            location={"unlocode_pol": "PKGWD", "unlocode_pod": "ZZZZZ"},
            details=wanted.details,
            underlying_keys=wanted.keys,
            ownership=make.owned_by(make.person(desk)),
        ),
    )
    make.file_required(desk, asset)
    return make.submit(desk, asset)


@violates("ID-05")
def goods_code_of_seven_digits(desk: Desk) -> object:
    return handed_in(desk, AssetClass.COMMODITY_WAREHOUSED, hs="1001990")


@violates("ID-06")
def voyage_in_no_direction(desk: Desk) -> object:
    return handed_in(desk, AssetClass.SHIPPING_EBL, universal_voyage="26D1X")


@violates("ID-07")
def lei_with_wrong_check_digits(desk: Desk) -> object:
    return make.company(desk, lei="506700GE1G29325QX364")


# What the title covers


@violates("TTL-02")
def title_of_nothing(desk: Desk) -> object:
    return handed_in(desk, AssetClass.ENERGY_MINING_FLEET, machines=[])


@violates("KEY-01")
def one_apartment_twice(desk: Desk) -> object:
    first = make.open_apartment(desk)
    make.in_review(desk, first)
    key = assets.list_keys(desk.session, first.id)
    second = make.open_apartment(desk, underlying_keys=key)
    make.file_required(desk, second)
    return make.submit(desk, second)


@violates("KEY-01")
def one_key_live_twice_past_the_service(desk: Desk) -> None:
    for _ in range(2):
        asset_id = rows.asset(desk.session)
        rows.insert(desk.session, "underlying_key", asset_id=asset_id, key="APT|A|B|C", live=True)


@violates("KEY-02")
def apartment_keyed_in_another_province(desk: Desk) -> object:
    return make.open_apartment(desk, underlying_keys=["APT|PK-SD|LAHORE|GULBERG-III|TWIN|1"])


@violates("KEY-02")
def land_keyed_in_another_province_before_the_rule(desk: Desk) -> object:
    asset = make.open_apartment(desk)
    make.file_required(desk, asset)
    rows.execute(
        desk.session,
        "UPDATE underlying_key SET key = replace(key, 'PK-PB', 'PK-SD') WHERE asset_id = :id",
        id=asset.id,
    )
    return make.submit(desk, asset)


@violates("PAR-01")
def field_a_hundredth_too_large(desk: Desk) -> object:
    # About 3,830 square metres, stated as 5,059.
    return farm(desk, [ground("77001", [10, 0, 0], square(73.2, 30.7))], [10, 0, 0])


@violates("PAR-02")
def field_drawn_over_another(desk: Desk) -> object:
    for number in ("77011", "77012"):
        run = farm(desk, [ground(number, [7, 11, 2], square(73.3, 30.7))], [7, 11, 2])
    return run


@violates("PAR-03")
def khasras_a_sarsai_short(desk: Desk) -> object:
    return farm(desk, [ground("77021", [8, 0, 0]), ground("77022", [8, 0, 0])], [16, 0, 1])


@violates("PAR-05")
def khasra_that_is_a_name(desk: Desk) -> object:
    return farm(desk, [ground("EAST-FIELD", [8, 0, 0])], [8, 0, 0])


@violates("PAR-06")
def land_of_no_known_class(desk: Desk) -> object:
    field = ground("77031", [8, 0, 0]) | {"land_class": "orchard"}
    return farm(desk, [field], [8, 0, 0])


@violates("PAR-04")
def units_with_more_than_their_parcel(desk: Desk) -> object:
    for number in (1, 2):
        keys = [f"APT|PK-PB|LAHORE|GULBERG-III|FULL-HOUSE|{number}"]
        asset = make.open_apartment(desk, underlying_keys=keys, details=apartment_of(1001))
        make.file_required(desk, asset)
        run = make.submit(desk, asset)
    return run


def apartment_of(parts: int) -> dict[str, Any]:
    return {
        "parent_area_kms": [4, 0, 0],
        "marla_kind": "MARLA_272_25",
        "undivided_share": [parts, 2000],
        "covered_area_sqft": "1480.00",
    }


# Goods and machines


@violates("EWR-01")
def more_pledged_than_stored(desk: Desk) -> None:
    lot = goods.issued(desk)
    rows.execute(
        desk.session,
        "UPDATE warehouse_receipt SET pledged_kg = qty_kg, tokenized_kg = 1 WHERE id = :id",
        id=lot.receipt.id,
    )


@violates("EWR-02")
def goods_insured_for_half(desk: Desk) -> object:
    wrapped = sales.wrapped_wheat(desk)
    make.value(desk, wrapped.asset, 84_000_000_00)
    return tokenizations.run_gate(desk.session, MAKER, wrapped.asset.id)


@violates("EWR-03")
def receipt_that_ran_out(desk: Desk) -> object:
    vehicle = make.company(desk)
    wheat = make.wheat_dossier(make.owned_by(vehicle))
    details = {**wheat.details, "expiry": str(today() - timedelta(days=1))}
    asset = make.open_wheat(desk, vehicle, details=details)
    make.registered(desk, asset)
    sales.name_wrapper(desk, asset, vehicle)
    return tokenizations.run_gate(desk.session, MAKER, asset.id)


@violates("BUL-01")
def bars_that_do_not_sum(desk: Desk) -> object:
    return handed_in(desk, AssetClass.COMMODITY_BULLION, fine_oz_total="799.926")


@violates("EBL-01")
def same_container_under_two_bills(desk: Desk) -> object:
    first = goods.issued_bill(desk)
    boxes = [box["no"] for box in first.asset.details["containers"]]
    return goods.issued_bill(desk, containers=boxes)


@violates("NRG-01")
def site_that_draws_more_than_its_contract(desk: Desk) -> object:
    return handed_in(desk, AssetClass.ENERGY_MINING_SITE, contracted_mw="21.332")


@violates("NRG-02")
def one_machine_listed_twice(desk: Desk) -> object:
    wanted = sample(AssetClass.ENERGY_MINING_FLEET, number := next(make.numbers))
    machine = wanted.details["machines"][0]
    return fleet(desk, number, machines=[machine, machine], keys=wanted.keys[:1])


@violates("NRG-03")
def hashrate_that_no_machine_gives(desk: Desk) -> object:
    number = next(make.numbers)
    keys = sample(AssetClass.ENERGY_MINING_FLEET, number).keys
    return fleet(desk, number, reported_phs="0.421", keys=keys)


def fleet(desk: Desk, number: int, *, keys: Any, **changes: Any) -> RuleRun:
    wanted = sample(AssetClass.ENERGY_MINING_FLEET, number)
    dossier = Dossier(
        title_regime=wanted.regime,
        location=wanted.location,
        details={**wanted.details, **changes},
        underlying_keys=keys,
        ownership=make.owned_by(make.person(desk)),
    )
    asset = make.open_dossier(desk, AssetClass.ENERGY_MINING_FLEET, dossier)
    make.file_required(desk, asset)
    return make.submit(desk, asset)
