"""The worked assets, with every date moved so that the seed's `today` is the day of the run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from registry.kernel.clock import today

_SECTIONS = ("parcel", "commodity", "shipment", "energy")
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_IDENTITY = frozenset({"underlying_keys", "serial", "crop_year", "case_no"})
"""Fields that name things: a date inside them is a name, and stays."""


@dataclass(frozen=True, slots=True)
class Seed:
    """What the demo plays with."""

    parties: Mapping[str, Mapping[str, Any]]
    assets: tuple[Mapping[str, Any], ...]


def load_seed() -> Seed:
    """Read every worked asset."""
    raw = json.loads((Path(__file__).parent / "seed_assets.json").read_text("utf-8"))
    shift = today() - date.fromisoformat(raw["today"])
    return Seed(
        parties=raw["parties"],
        assets=tuple(_moved(asset, shift) for asset in raw["assets"]),
    )


def _moved(value: Any, shift: timedelta) -> Any:
    if isinstance(value, dict):
        return {
            name: item if name in _IDENTITY else _moved(item, shift) for name, item in value.items()
        }
    if isinstance(value, list):
        return [_moved(item, shift) for item in value]
    if isinstance(value, str) and _DATE.match(value):
        return (date.fromisoformat(value) + shift).isoformat()
    return value


def details_of(asset: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the asset's class, as its dossier holds them."""
    details = {**next(asset[name] for name in _SECTIONS if name in asset)}
    if "leasehold" in asset:
        details["leasehold"] = asset["leasehold"]
    return details


def location_of(asset: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in asset["location"].items()}


def paper(asset: Mapping[str, Any], kind: str) -> bytes:
    """Make the bytes of a document: a small PDF that says what it is."""
    text = f"{asset['code']}: {kind.replace('_', ' ').title()} (fictitious, for the demo)"
    stream = f"BT /F1 14 Tf 60 760 Td ({text}) Tj ET".encode()
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources 6 0 R>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Font<</F1 5 0 R>>>>",
    )
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return body + (
        b"xref\n0 7\n0000000000 65535 f \n%strailer<</Size 7/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
        % (table, len(body))
    )
