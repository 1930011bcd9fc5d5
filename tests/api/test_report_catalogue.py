"""All of the reports: what each must tell, and that each comes in every format, verifiable."""

from __future__ import annotations

import csv
import io
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from api.verify_cli import verify_paper
from registry.asset.models import Asset
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.kernel.sealed_pdf import attachment_of
from registry.party.models import PartyKind
from registry.report.catalogue import CATALOGUE
from registry.report.values import cells_of
from registry.sanctions import lists
from registry.sanctions.screening import screen_party
from registry.tokenization.models import Tokenization
from tests import court, deeds, goods, intakes, liens, redemptions, sales, standing
from tests import factories as make
from tests.api.house import House
from tests.api.moves import minted, moved, moves
from tests.api.reports import ask, public_keys, read
from tests.db.past import journal_of
from tests.factories import COMPLIANCE
from tests.sanctioned import file_of

pytestmark = pytest.mark.db

TOLD = {
    "R-01": "asset regime title version valid_from khewat khatuni parcels area area_sqm owner"
    " father_or_spouse cnic hissa kul_hissay basis deed encumbrances open_mutation dossier_hash",
    "R-02": "version valid_from valid_to recorded_at transferor transferee share mutation_kind"
    " mutation_no deed maker checker officer",
    "R-03": "kind rank amount holder authority case_no valid_from valid_to state effect",
    "R-04": "asset kind share fractions frozen value since",
    "R-05": "party cnic country wallet balance share frozen acquired kyc_expiry",
    "R-06": "chain party name effective basis declared_on",
    "R-07": "party before after changed_at tx",
    "R-08": "token fractions supply value debt net coverage registered_share title_checked_at"
    " custody insured insured_until",
    "R-09": "party wallet register_of_record chain cap_table difference break_id break_age_days",
    "R-10": "time kind units from_wallet to_wallet instruction approvers tx",
    "R-11": "time from_wallet to_wallet units price kind tx from_country to_country",
    "R-12": "originator_person originator_name originator_account originator_vasp"
    " beneficiary_person beneficiary_name beneficiary_account beneficiary_vasp amount status",
    "R-13": "day customer cnic cash_total transactions filed_reference",
    "R-14": "case party indicators opened filed goaml_reference",
    "R-15": "party list_version score decision decided_by frozen_value reported_at",
    "R-16": "case_no authority scope received applied minutes_to_apply tx amount lifted",
    "R-17": "asset cause since holders_affected value",
    "R-18": "asset amount basis_date method valuer change age_days",
    "R-19": "receipt qty_kg pledged_kg tokenized_kg free_kg grade expiry insured last_audit",
    "R-20": "seq action actor recipient at platform",
    "R-21": "site month energy_mwh hashrate_phs uptime_percent mined_btc payout revenue_share"
    " curtailment_mwh",
    "R-22": "step person role dossier_hash at rules_passed rules_failed failed overrides",
    "R-23": "record_block holders gross costs net paid held unclaimed",
    "R-24": "time person act purpose legal_basis rows",
    "R-25": "place holder area titles",
    "R-26": "id kind opened closed loss",
    "R-27": "seq hash prev anchor_tx verified",
}
"""The columns that a regulator asks for, of each report."""


def test_catalogue__held_against_what_regulators_ask_for__is_complete(house: House) -> None:
    listed = house.caller(Role.REGULATOR).get("/v1/reports").json()

    assert [row["code"] for row in listed] == list(TOLD)
    for row in listed:
        missing = set(TOLD[row["code"]].split()) - {column["name"] for column in row["columns"]}
        assert not missing, row["code"]
    assert all(row["title"] and row["title_ur"] for row in listed)


@dataclass(frozen=True)
class Asked:
    """What each report is asked, and of which moment: of every one there are rows."""

    moment: str
    queries: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def asked(house: House) -> Asked:
    chain = moves(house, 2)
    one, two = (who.wallet.address for who in chain.buyers)
    chain.mine(minted(one, 60), minted(two, 40))
    chain.mine(moved(one, two, 5))
    token = {"token": str(chain.token_id)}
    with house.desk() as desk:
        tokenization = desk.session.get_one(Tokenization, chain.token_id)
        asset = desk.session.get_one(Asset, tokenization.asset_id)
        liens.active(desk, asset, EncumbranceKind.LEASE)
        named = {"asset": asset.code}
        redeemed = redemptions.requested(desk).ledger.tokenization.id
        bill = goods.issued_bill(desk).bill.reference
    with house.desk() as desk:
        sale = sales.offering(desk, sales.wrapped_apartment(desk))
        sales.pay_in(desk.session, sales.order(desk, sale, make.buyer(desk), 100), 200_000_000)
        party = intakes.str_case(desk).party_id
        court.on_party(desk, party)
        standing.suspended(desk)
        goods.issued(desk)
        intakes.reading(desk)
        intakes.complaint(desk)
        deeds.half_and_half(desk)
    with house.desk() as desk:
        listed = make.person(desk, kind=PartyKind.NATURAL, name="Mohd Usman Barlasi")
        lists.import_list(desk.session, COMPLIANCE, file_of())
        assert screen_party(desk.session, desk.vault, listed.id)
    read(house, "R-26")
    journal_of(house.database)  # seals everything
    title = dict.fromkeys(("R-01", "R-02", "R-03", "R-22"), named)
    of_token = dict.fromkeys(("R-05", "R-06", "R-07", "R-08", "R-09", "R-10", "R-11"), token)
    queries: dict[str, dict[str, Any]] = {
        **{report.code: {} for report in CATALOGUE},
        **title,
        **of_token,
        "R-04": {"party": str(chain.buyers[0].investor.party_id)},
        "R-07": token | {"since": "2001-01-01T00:00:00Z"},
        "R-12": token | {"min_rupees": 0},
        "R-13": {"day": str(today())},
        "R-20": {"reference": bill},
        "R-23": {"token": str(redeemed)},
        "R-27": {"last": 40},
    }
    return Asked(now().isoformat(), queries)


@pytest.mark.parametrize("code", list(TOLD))
def test_report__in_every_format__has_one_hash_and_is_verified(
    house: House, asked: Asked, code: str
) -> None:
    query = asked.queries[code] | {"as_of": asked.moment, "known_at": asked.moment}
    papers = {
        kind: ask(house, code, format=kind, **query, limit=200).raise_for_status().content
        for kind in ("json", "csv", "pdf")
    }

    whole = json.loads(papers["json"])
    envelope = whole["envelope"]
    assert envelope["is_whole"]
    assert envelope["rows"] == len(whole["items"]) > 0
    names = [column["name"] for column in envelope["columns"]]
    cells = [list(cells_of(names, item)) for item in whole["items"]]
    header, *rows, (mark, sealed, _) = csv.reader(io.StringIO(papers["csv"].decode(), newline=""))
    assert (header[: len(names)], mark) == (names, "#envelope")
    # What a spreadsheet would take for a formula begins with an apostrophe.
    assert [[cell.removeprefix("'") for cell in row[: len(names)]] for row in rows] == cells
    attached = attachment_of(papers["pdf"])
    assert attached is not None
    carried = json.loads(attached)
    assert carried["items"] == whole["items"]
    hashes = {
        each["content_sha256"] for each in (envelope, json.loads(sealed), carried["envelope"])
    }
    assert len(hashes) == 1
    keys = public_keys(house)
    for kind, paper in papers.items():
        told = verify_paper(paper, keys)
        assert told[0].startswith(f"report {code} "), kind
        assert f": {len(rows)} rows, whole" in told[0], kind


# PDF/A (ISO 19005-3, 6.6): what the file says of itself, and that it says it twice alike


def metadata_of(paper: bytes) -> dict[str, str]:
    """Read the XMP packet, by the names of its properties."""
    [packet] = re.findall(rb"<\?xpacket begin=.*?\?>(.*?)<\?xpacket end", paper, re.DOTALL)
    found: dict[str, str] = {}
    for node in ET.fromstring(packet).iter():
        texts = [text.strip() for text in node.itertext() if text.strip()]
        if len(texts) == 1:
            found.setdefault(node.tag.split("}")[1], texts[0])
    return found


def info_of(paper: bytes) -> dict[str, str]:
    """Read the document information dictionary that the trailer names."""
    objects = b"\n".join([paper, *_unpacked(paper)])
    [place] = set(re.findall(rb"/Info (\d+) 0 R", objects))
    [said] = re.findall(rb"\n%s 0 obj\s*<<(.*?)>>\s*endobj" % place, objects, re.DOTALL)
    return {
        name.decode(): value.decode("latin-1")
        for name, value in re.findall(rb"/(\w+) ?\(((?:[^()\\]|\\.)*)\)", said)
    }


def _unpacked(paper: bytes) -> list[bytes]:
    streams = re.findall(rb"/ObjStm.*?stream\r?\n(.*?)\r?\nendstream", paper, re.DOTALL)
    return [zlib.decompress(stream) for stream in streams]


def test_pdf__sealed__is_an_archive_whose_metadata_agree(house: House, asked: Asked) -> None:
    paper = ask(house, "R-05", format="pdf", **asked.queries["R-05"]).raise_for_status().content

    xmp, info = metadata_of(paper), info_of(paper)
    assert (xmp["part"], xmp["conformance"]) == ("3", "B")
    assert info["Title"] == xmp["title"] == "R-05 Token holder register"
    assert info["Keywords"] == xmp["Keywords"]
    assert re.fullmatch(r"milkiyat-seal:[0-9a-f]{128}", info["Keywords"])
    assert set(info["Keywords"].removeprefix("milkiyat-seal:")) != {"0"}
    assert paper.count(b"/AFRelationship/Source") == 1
