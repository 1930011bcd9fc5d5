"""R-01 and R-02, each against a second computation from the sealed journal alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.kernel.clock import now
from registry.mutation import service as mutations
from registry.party.models import Party
from registry.title import service as titles
from registry.title.models import Title
from tests import deeds, liens, standing
from tests import factories as make
from tests.api.house import House, problem_of
from tests.api.reports import Replayed, ask, instant, person, read, rows_of
from tests.factories import MAKER, Desk

pytestmark = pytest.mark.db

# References and offices leave with no journal: what was said of each kind of paper stands here.
PROVEN_BY = {
    "FARD_MALKIAT": "1/2026, Sub-Registrar",
    "REGISTERED_SALE_DEED": "4411/2025, Sub-Registrar Depalpur, 2025-11-03",
}
FIRST_PROOFS = "4411/2025, Sub-Registrar Depalpur, 2025-11-03; 1/2026, Sub-Registrar"
SQFT_SQM = Fraction("0.09290304")


@dataclass(frozen=True)
class Farm:
    """A farm of two owners, of whom one sold a part, and which was mortgaged since."""

    code: str
    key: str
    asset_id: UUID
    title_id: UUID
    before: str
    """When the first right stood and nothing else."""


def told() -> str:
    return now().isoformat()


@pytest.fixture(scope="module")
def farm(house: House) -> Farm:
    with house.desk() as desk:
        seller, other = (
            make.person(desk, father_or_spouse_name=f"Father of the {which}")
            for which in ("first", "second")
        )
        asset = deeds.draft_farm(desk, make.owned_by(seller, other))
        said: dict[str, Any] = {"issuer": "Sub-Registrar Depalpur", "issuer_ref": "4411/2025"}
        said["issued_on"] = date(2025, 11, 3)
        make.file_document(desk, asset, "REGISTERED_SALE_DEED", **said)
        title = titles.title_of_asset(desk.session, make.registered(desk, asset).id)
        ids = (asset.code, asset.id, title.id)
    before = told()
    with house.desk() as desk:
        sell(desk, desk.session.get_one(Title, ids[2]), seller)
        liens.active(desk, desk.session.get_one(Asset, ids[1]))
    with house.desk() as desk:
        title = desk.session.get_one(Title, ids[2])
        deeds.entered(desk, title, deeds.sale(seller, make.person(desk), Fraction(1, 12)))
    key = house.one(
        "SELECT key FROM underlying_key WHERE asset_id = :asset ORDER BY key LIMIT 1", asset=ids[1]
    )
    return Farm(ids[0], key, ids[1], ids[2], before)


def sell(desk: Desk, title: Title, seller: Party) -> None:
    """Sell by a deed that was filed before; another proof comes after it."""
    asset = desk.session.get_one(Asset, title.asset_id)
    deed = make.file_document(desk, asset, "REGISTERED_SALE_DEED", issuer_ref="900/2026")
    sale = deeds.entered(desk, title, deeds.sale(seller, make.person(desk), Fraction(1, 6)))
    complete = deeds.instrument(desk, sale, source_document_id=deed.id)
    mutations.complete_mutation(desk.session, MAKER, sale.id, complete)
    mutations.verify_mutation(desk.session, deeds.FIELD_VERIFIER, sale.id)
    deeds.implement(desk, deeds.attest(desk, sale))
    make.file_document(desk, asset, "FARD_MALKIAT", issuer_ref="901/2026")


def deed_by_journal(
    told: Replayed, version: dict[str, Any], owner_id: str, asset_id: UUID
) -> str | None:
    """Go back to the deed by which an owner took; else to what was verified before the title."""
    while version["mutation_id"] is not None:
        mutation = told.one("mutation", id=version["mutation_id"])
        if mutation["reverses_id"] is not None:
            mutation = told.one("mutation", id=mutation["reverses_id"])
        elif owner_id in buyers_of(told, mutation):
            deed: str = mutation["deed_no"]
            return deed
        version = told.one("title_version", id=mutation["version_id"])
    active = min(
        datetime.fromisoformat(fact["recorded_at"])
        for fact in told.facts
        if fact["row_id"] == version["title_id"] and fact["image"]["state"] == "ACTIVE"
    )
    proofs = [
        paper
        for paper in told.rows("document", at=active, asset_id=asset_id, state="VERIFIED")
        if paper["kind"] in PROVEN_BY
    ]
    return "; ".join(
        PROVEN_BY[paper["kind"]] for paper in sorted(proofs, key=lambda row: row["id"])
    )


def buyers_of(told: Replayed, mutation: dict[str, Any]) -> set[str]:
    parties = told.rows("mutation_party", mutation_id=mutation["id"], part="BUYER")
    return {party["party_id"] for party in parties}


def sqm_by_journal(asset: dict[str, Any]) -> Fraction:
    """Reckon by the marla of the revenue record: 20 to a kanal, each of 9 sarsai."""
    kanal, marla, sarsai = (Fraction(part) for part in asset["details"]["area_kms"])
    assert asset["details"]["marla_kind"] == "MARLA_272_25"
    return (kanal * 20 + marla + sarsai / 9) * Fraction("272.25") * SQFT_SQM


def extract_by_journal(house: House, farm: Farm, moment: datetime) -> list[dict[str, Any]]:
    """Compute R-01 a second time, from the journal."""
    told = Replayed.of(house)
    [version] = [
        row
        for row in told.rows("title_version", title_id=farm.title_id)
        if datetime.fromisoformat(row["valid_from"]) <= moment
        and (row["valid_to"] is None or datetime.fromisoformat(row["valid_to"]) > moment)
        and row["superseded_at"] is None
    ]
    asset = told.one("asset", id=farm.asset_id)
    liens_then = [
        row
        for row in told.rows("encumbrance", title_id=farm.title_id)
        if row["valid_from"] is not None and datetime.fromisoformat(row["valid_from"]) <= moment
    ]
    waiting = [
        row
        for row in told.rows("mutation", at=moment, title_id=farm.title_id)
        if row["state"] not in {"IMPLEMENTED", "REVERSED", "REJECTED", "WITHDRAWN"}
    ]
    shares = sorted(
        told.rows("title_share", version_id=version["id"]), key=lambda row: row["party_id"]
    )
    return [
        {
            "asset": asset["code"],
            "version": version["seq"],
            "kul_hissay": str(version["kul_hissay"]),
            "hissa": str(share["hissa"]),
            "basis": version["basis"],
            "cnic": person(house, share["party_id"])["cnic"],
            "owner": person(house, share["party_id"])["name"],
            "father_or_spouse": person(house, share["party_id"])["father"],
            "area_sqm": sqm_by_journal(asset),
            "deed": deed_by_journal(told, version, share["party_id"], farm.asset_id),
            "title_state": told.one("title", at=moment, id=farm.title_id)["state"],
            "liens": len(liens_then),
            "open": [row["number"] for row in waiting],
            "dossier_hash": "0x" + asset["dossier_hash"].removeprefix("\\x"),
        }
        for share in shares
    ]


def same_parts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = (
        "asset", "title_state", "version", "kul_hissay", "hissa", "basis", "cnic", "owner",
        "father_or_spouse", "deed", "dossier_hash",
    )  # fmt: skip
    return [
        {name: row[name] for name in names}
        | {
            "area_sqm": Fraction(row["area_sqm"]),
            "liens": len((row["encumbrances"] or "").split("; ")) if row["encumbrances"] else 0,
            "open": [said.split()[1] for said in (row["open_mutation"] or "").split("; ") if said],
        }
        for row in rows
    ]


def test_r_01__now__is_what_the_journal_says(house: House, farm: Farm) -> None:
    rows = rows_of(house, "R-01", asset=farm.code, reveal=True)

    assert same_parts(rows) == extract_by_journal(house, farm, now())
    assert len(rows) == 3
    assert sum(Fraction(int(row["hissa"]), int(row["kul_hissay"])) for row in rows) == 1
    assert rows[0]["open_mutation"].startswith("SALE ")
    assert rows[0]["encumbrances"].startswith("MORTGAGE ")
    # Who sold a part has the rest by the papers that proved the whole.
    assert sorted(row["deed"] for row in rows) == ["1204", *2 * [FIRST_PROOFS]]
    assert len([row for row in rows if row["father_or_spouse"]]) == 2
    assert "sq ft" in rows[0]["area"]


def test_r_01__as_of_the_first_right__is_what_the_journal_said_then(
    house: House, farm: Farm
) -> None:
    moment = datetime.fromisoformat(farm.before).astimezone(UTC)
    rows = rows_of(house, "R-01", asset=str(farm.asset_id), as_of=farm.before, reveal=True)

    assert same_parts(rows) == extract_by_journal(house, farm, moment)
    assert len(rows) == 2
    assert {row["deed"] for row in rows} == {FIRST_PROOFS}
    assert rows[0]["encumbrances"] is None
    assert rows[0]["open_mutation"] is None


def test_r_01__land_in_the_record_of_rights__shows_khewat_khatunis_and_edition(
    house: House, farm: Farm
) -> None:
    [bare, *_] = rows_of(house, "R-01", asset=farm.code)
    assert (bare["khewat"], bare["khatuni"], bare["jamabandi"]) == (None, None, None)
    record = {"khewat": "41/2", "khatunis": ["88", "89"], "jamabandi_year": "2018-19"}
    with house.desk() as desk:
        party = make.person(desk)
        dossier = deeds.farm_dossier(make.owned_by(party))
        details = {**dossier.details, "record_of_rights": record}
        said = {"details": details, "underlying_keys": dossier.underlying_keys}
        asset = deeds.draft_farm(desk, dossier.ownership, **said)
        code, asset_id = asset.code, asset.id

    [row] = rows_of(house, "R-01", asset=code)
    told = Replayed.of(house).one("asset", id=asset_id)["details"]["record_of_rights"]
    assert told == record
    assert row["khewat"] == told["khewat"]
    assert row["khatuni"] == ", ".join(told["khatunis"])
    assert row["jamabandi"] == told["jamabandi_year"]


def test_r_01__dossier_amended_since__is_that_of_then(house: House) -> None:
    with house.desk() as desk:
        asset = standing.registered_apartment(desk)
        code, asset_id = asset.code, asset.id
        [key] = assets.list_keys(desk.session, asset_id)
    before = told()
    with house.desk() as desk:
        asset = desk.session.get_one(Asset, asset_id)
        details = asset.details | {"parent_area_kms": [4, 1, 0]}
        keys = [key, key.replace("|7-B", "|7-C")]
        amendment = standing.propose(desk, asset, details=details, underlying_keys=keys)
        standing.approve_amendment(desk, asset, amendment)

    parts = ("regime", "keys", "area", "area_sqm", "dossier_hash")
    journal = Replayed.of(house)
    moment = datetime.fromisoformat(before)
    [then] = rows_of(house, "R-01", asset=code, as_of=before)
    [known] = rows_of(house, "R-01", asset=code, known_at=before)
    [today_s] = rows_of(house, "R-01", asset=code)
    assert {name: then[name] for name in parts} == {name: known[name] for name in parts}
    for row, at, claimed in ((then, moment, [key]), (today_s, None, keys)):
        image = journal.one("asset", at=at, id=asset_id)
        assert row["dossier_hash"] == "0x" + image["dossier_hash"].removeprefix("\\x")
        assert row["regime"] == image["title_regime"]
        assert row["keys"].split(", ") == claimed
    assert then["area"].startswith("4K-0M-0S")
    assert today_s["area"].startswith("4K-1M-0S")
    assert then["dossier_hash"] != today_s["dossier_hash"]
    # Nobody owned it before it was recorded.
    assert rows_of(house, "R-01", asset=code, as_of="2020-01-01T00:00:00Z") == []


def test_r_01__by_key_and_known_at__is_the_same_title_as_it_was_known(
    house: House, farm: Farm
) -> None:
    page = read(house, "R-01", key=farm.key, known_at=farm.before)

    assert {row["title"] for row in page["items"]} == {str(farm.title_id)}
    assert [row["version"] for row in page["items"]] == [1, 1]
    assert instant(page["envelope"]["known_at"]) == instant(farm.before)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 422, "asset_or_key_required"),
        ({"asset": "AAA-BBB-0001", "key": "x"}, 422, "asset_or_key_required"),
        ({"asset": "AAA-BBB-0001"}, 404, "not_found"),
        ({"key": "KHASRA|nowhere"}, 404, "not_found"),
        ({"asset": "x" * 37}, 422, "request_invalid"),
        ({"asset": "AAA-BBB-0001", "as_of": "block:7"}, 422, "as_of_block_not_spoken_of"),
    ],
)
def test_r_01__no_asset_that_there_is__is_refused(
    house: House, query: dict[str, Any], status: int, code: str
) -> None:
    with house.unchanged():
        problem_of(ask(house, "R-01", **query), status, code)


def history_by_journal(house: House, farm: Farm) -> list[dict[str, Any]]:
    """Compute R-02 a second time, from the journal."""
    told = Replayed.of(house)
    found = []
    versions = told.rows("title_version", title_id=farm.title_id)
    for version in sorted(versions, key=lambda row: row["seq"]):
        common = {
            "version": version["seq"],
            "valid_from": instant(version["valid_from"]),
            "valid_to": instant(version["valid_to"]),
            "recorded_at": instant(version["recorded_at"]),
            "superseded_at": instant(version["superseded_at"]),
            "maker": version["maker"],
            "checker": version["checker"],
        }
        if version["mutation_id"] is None:
            nothing = dict.fromkeys(("mutation_no", "mutation_kind", "officer"))
            for share in told.rows("title_share", version_id=version["id"]):
                passed = str(Fraction(share["hissa"], version["kul_hissay"]))
                deed = deed_by_journal(told, version, share["party_id"], farm.asset_id)
                common["deed"] = deed
                found.append(common | _side(house, share, "BUYER", passed) | nothing)
            continue
        mutation = told.one("mutation", id=version["mutation_id"])
        common |= {
            "mutation_no": mutation["number"],
            "mutation_kind": mutation["kind"],
            "officer": mutation["revenue_officer"],
            "deed": mutation["deed_no"],
        }
        for party in told.rows("mutation_party", mutation_id=mutation["id"]):
            passed = str(Fraction(party["hissa"], mutation["kul_hissay"]))
            found.append(common | _side(house, party, party["part"], passed))
    return found


def _side(house: House, row: dict[str, Any], part: str, share: str) -> dict[str, Any]:
    name = person(house, row["party_id"])["name"]
    sides = (name, None) if part == "SELLER" else (None, name)
    return {"transferor": sides[0], "transferee": sides[1], "share": share}


def test_r_02__whole_history__is_what_the_journal_says(house: House, farm: Farm) -> None:
    rows = rows_of(house, "R-02", asset=farm.code, reveal=True, limit=2)
    times = ("valid_from", "valid_to", "recorded_at", "superseded_at")
    expected = history_by_journal(house, farm)
    names = expected[0].keys()
    shown = [
        {name: instant(row[name]) if name in times else row[name] for name in names} for row in rows
    ]

    def order(row: dict[str, Any]) -> str:
        return str(sorted(row.items()))

    assert sorted(shown, key=order) == sorted(expected, key=order)
    # The first right, what was superseded by the sale, and both sides of the sale.
    assert len(rows) == 6
    [sold] = [row for row in rows if row["transferor"]]
    assert (sold["share"], sold["mutation_kind"], sold["deed"]) == ("1/6", "SALE", "1204")
    assert sold["officer"] == deeds.REVENUE_OFFICER.subject
    assert [row["version"] for row in rows] == sorted(row["version"] for row in rows)


def test_r_02__of_a_time__leaves_the_others_out(house: House, farm: Farm) -> None:
    before = rows_of(house, "R-02", asset=farm.code, begun_to=farm.before)
    since = rows_of(house, "R-02", asset=farm.code, begun_from=farm.before)

    assert {row["mutation_no"] for row in before} == {None}
    assert None not in {row["mutation_no"] for row in since}
    known = rows_of(house, "R-02", asset=farm.code, known_at=farm.before)
    assert {row["version"] for row in known} == {1}
    assert {row["superseded_at"] for row in known} == {None}
