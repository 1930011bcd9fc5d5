"""A cap table as an Open Cap Table Format package, version 1.2.0: a ZIP of JSON files.

It is the position at one block, not its history: each wallet is a stakeholder that was issued one
security of as many units as it holds. A wallet's name is its address: who is behind it is for
`/v1/tokens/{id}/holders`, where the reason is asked for. The date of the securities, and `as_of`,
is the day of the block in UTC. A security has its id and its number (`custom_id`) by its wallet, so
both are the same at every block.

Of an adopted token the register knows no issuer and no price, and the schemas want both: the issuer
is then named by the token's account (CAIP-10), of country ZZ (user-assigned in ISO 3166-1, unknown
in Unicode's CLDR), the price is 0 of XXX (no currency in ISO 4217), and comments say so.

Source: Open Cap Table Coalition, Open Cap Format 1.2.0.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from typing import IO, Any, BinaryIO
from uuid import NAMESPACE_URL, uuid5

from registry.export.sheet import Advance, Issue, Sheet, SheetRow, utc_day
from registry.kernel.money import Money

VERSION = "1.2.0"
MANIFEST = "Manifest.ocf.json"
ROWS_AT_ONCE = 1000
FROZEN = "frozen"
NO_COUNTRY = "ZZ"
NO_CURRENCY = "XXX"
_BUFFER_BYTES = 1 << 20

Json = Mapping[str, Any]


def write_ocf(sheet: Sheet, rows: Iterable[SheetRow], target: BinaryIO, advance: Advance) -> None:
    """Write the package; the manifest is its last entry, since it names the others' MD5."""
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package,
        tempfile.TemporaryFile() as issuances,
    ):
        files = {
            "stock_classes_files": _put(
                package, sheet, "stock_classes.ocf.json", "STOCK_CLASSES", [_stock_class(sheet)]
            ),
            "stock_legend_templates_files": _put(
                package, sheet, "stock_legends.ocf.json", "STOCK_LEGEND_TEMPLATES", [_legend()]
            ),
            "stakeholders_files": _put(
                package,
                sheet,
                "stakeholders.ocf.json",
                "STAKEHOLDERS",
                _stakeholders(sheet, rows, issuances, advance),
            ),
        }
        issuances.seek(0)
        files["transactions_files"] = _put(
            package, sheet, "transactions.ocf.json", "TRANSACTIONS", issuances
        )
        with package.open(_entry(sheet, MANIFEST), "w") as out:
            out.write(_line(_manifest(sheet, files)))


def _stakeholders(
    sheet: Sheet, rows: Iterable[SheetRow], issuances: IO[bytes], advance: Advance
) -> Iterator[Json]:
    """Yield a stakeholder for each row, and put the issuance to it aside."""
    done = 0
    for row in rows:
        done += 1
        issuances.write(_line(_issuance(sheet, row)))
        yield {
            "object_type": "STAKEHOLDER",
            "id": _id(sheet, row.wallet, "stakeholder"),
            "name": {"legal_name": row.wallet},
            "stakeholder_type": "INSTITUTION" if row.is_company else "INDIVIDUAL",
            "issuer_assigned_id": f"eip155:{sheet.chain_id}:{row.wallet}",
            "comments": ["nobody has proven this wallet"] if row.is_company is None else [],
        }
        if done % ROWS_AT_ONCE == 0:
            advance(done)
    advance(done)


def _issuance(sheet: Sheet, row: SheetRow) -> Json:
    is_frozen = row.frozen_units > 0
    return {
        "object_type": "TX_STOCK_ISSUANCE",
        "id": _id(sheet, row.wallet, "issuance"),
        "security_id": _id(sheet, row.wallet, "security"),
        "custom_id": _number(sheet, row.wallet),
        "date": utc_day(sheet.mined_at).isoformat(),
        "stakeholder_id": _id(sheet, row.wallet, "stakeholder"),
        "stock_class_id": str(sheet.token_id),
        "quantity": str(row.balance_units),
        "share_price": _price(sheet.issue),
        "security_law_exemptions": [],
        "stock_legend_ids": [FROZEN] if is_frozen else [],
        "comments": [f"{row.frozen_units} of the units are frozen"] if is_frozen else [],
    }


def _stock_class(sheet: Sheet) -> Json:
    return {
        "object_type": "STOCK_CLASS",
        "id": str(sheet.token_id),
        "name": sheet.name,
        "class_type": "COMMON",
        "default_id_prefix": f"{sheet.symbol}-",
        "initial_shares_authorized": (
            str(sheet.issue.declared_fractions) if sheet.issue else "NOT APPLICABLE"
        ),
        "votes_per_share": "1",
        **({"price_per_share": _price(sheet.issue)} if sheet.issue else {}),
        "seniority": "1",
        "comments": [
            *sheet.told,
            *([] if sheet.issue else [f"a share_price in {NO_CURRENCY} is none: it is not known"]),
        ],
    }


def _legend() -> Json:
    return {
        "object_type": "STOCK_LEGEND_TEMPLATE",
        "id": FROZEN,
        "name": "Frozen",
        "text": "Some or all of these units are frozen on chain: their holder may not move them.",
    }


def _manifest(sheet: Sheet, files: Json) -> Json:
    return {
        "ocf_version": VERSION,
        "file_type": "OCF_MANIFEST_FILE",
        "issuer": _issuer(sheet) if sheet.issue is None else _known_issuer(sheet.issue),
        "as_of": utc_day(sheet.mined_at).isoformat(),
        "generated_at": sheet.generated_at.astimezone(UTC).isoformat(),
        "comments": sheet.told,
        "stock_plans_files": [],
        "vesting_terms_files": [],
        "valuations_files": [],
        **files,
    }


def _known_issuer(issue: Issue) -> Json:
    return {
        "object_type": "ISSUER",
        "id": str(issue.issuer_id),
        "legal_name": issue.issuer_name,
        "formation_date": issue.issuer_since.isoformat(),
        "country_of_formation": issue.issuer_country,
        "comments": [
            "formation_date is when the register recorded this vehicle for the asset",
            "country_of_formation is where it resides",
        ],
    }


def _issuer(sheet: Sheet) -> Json:
    """Name whoever issued an adopted token by what is known: its account."""
    return {
        "object_type": "ISSUER",
        "id": _id(sheet, "", "issuer"),
        "legal_name": f"issuer of eip155:{sheet.chain_id}:{sheet.address}",
        "formation_date": sheet.known_since.isoformat(),
        "country_of_formation": NO_COUNTRY,
        "comments": [
            "the register does not know who issued this token",
            "formation_date is the day of the first block in which the token said anything",
            f"country_of_formation {NO_COUNTRY} is none: it is not known",
        ],
    }


def _put(
    package: zipfile.ZipFile, sheet: Sheet, name: str, kind: str, items: Iterable[Json] | IO[bytes]
) -> list[Json]:
    """Write one file of objects; return how the manifest names it."""
    digest = hashlib.md5(usedforsecurity=False)  # the format's own choice
    buffer = bytearray(f'{{"file_type":"OCF_{kind}_FILE","items":['.encode())
    with package.open(_entry(sheet, name), "w", force_zip64=True) as out:
        first = True
        for item in items:
            buffer += b"" if first else b","
            buffer += item if isinstance(item, bytes) else _line(item)
            first = False
            if len(buffer) > _BUFFER_BYTES:
                digest.update(buffer)
                out.write(buffer)
                buffer.clear()
        buffer += b"]}"
        digest.update(buffer)
        out.write(buffer)
    return [{"filepath": name, "md5": digest.hexdigest()}]


def _entry(sheet: Sheet, name: str) -> zipfile.ZipInfo:
    # Of the export's own time, so that writing it again gives the same bytes.
    moment = sheet.generated_at.astimezone(UTC).timetuple()[:6]
    entry = zipfile.ZipInfo(name, moment)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _line(item: Json) -> bytes:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _id(sheet: Sheet, wallet: str, what: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"eip155:{sheet.chain_id}:{sheet.address}:{wallet}:{what}"))


def _number(sheet: Sheet, wallet: str) -> str:
    """Number a certificate, at every block alike: an adopted token may change its symbol."""
    return f"{sheet.symbol if sheet.issue else sheet.address}-{wallet}"


def _price(issue: Issue | None) -> Json:
    if issue is None:
        return {"amount": "0", "currency": NO_CURRENCY}
    return {"amount": str(Money(issue.price_paisa)), "currency": "PKR"}
