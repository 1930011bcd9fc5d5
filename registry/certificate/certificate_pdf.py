"""A certificate as PDF/A-3, in English or Urdu: a page for people, with the signed record in it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import segno

from registry.certificate.record import Record
from registry.kernel.clock import written
from registry.kernel.messages import Language, text_of
from registry.kernel.money import Money, lakh_grouped
from registry.kernel.pdf import make_pdf
from registry.kernel.sealed_pdf import EMPTY_SEAL, seal_pdf
from registry.kernel.signing import SigningKey

_TEMPLATE = Path(__file__).with_name("certificate.typ")
Line = Mapping[str, Any]


def certificate_pdf(
    record: Record, key: SigningKey, language: Language, *, verify_at: str
) -> bytes:
    """Lay a certificate out and seal the file; the same record gives the same bytes.

    Parameters
    ----------
    verify_at
        Where anybody may ask whether it still holds; the QR code says so.
    """
    content, envelope, proof = record["content"], record["envelope"], record["proof"]
    issued_at = datetime.fromisoformat(envelope["issued_at"])
    writer = _Writer(language)
    values = {
        "language": language,
        "title": writer.word(f"title.{envelope['kind']}"),
        "lines": list(writer.lines(content, issued_at)),
        "tables": list(writer.tables(content)),
        "proof_title": writer.word("proof"),
        "proof": list(writer.proof(proof)),
        "pending": None if proof else writer.word("pending"),
        "remark": writer.word("remark"),
        "scan": writer.word("scan"),
        "qr": _qr(verify_at),
        "verify_at": verify_at,
        "footer": f"sha256 {envelope['content_sha256']} · {envelope['key']}",
        "seal": EMPTY_SEAL,
        "record": json.dumps(record, ensure_ascii=False),
    }
    return seal_pdf(make_pdf(_TEMPLATE, values, made_at=issued_at, standard="a-3b"), key)


def _qr(text: str) -> str:
    drawn = io.BytesIO()
    segno.make_qr(text, error="m").save(drawn, kind="svg", border=2, xmldecl=False, svgns=True)
    return drawn.getvalue().decode()


class _Writer:
    """Writes the texts of one certificate in one language."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def word(self, name: str) -> str:
        return text_of("certificate", name, self._language)

    def lines(self, content: Record, issued_at: datetime) -> Iterator[Line]:
        asset, title = content["asset"], content["title"]
        yield self._line("number", content["id"])
        yield self._line("issued", written(issued_at))
        place = ", ".join(asset["place"].values())
        yield self._line("asset", f"{asset['code']} {place}".strip())
        yield self._line("regime", f"{asset['title_regime']} · {asset['asset_class']}")
        if "state" in asset:  # the first certificates did not tell it
            yield self._line("asset_state", asset["state"])
        yield self._line("version", f"{title['version']} · {title['state']}")
        if content["kind"] == "TITLE":
            yield self._line("basis", content["basis"])
            yield self._line("valid_from", written(_time(content["valid_from"])))
            return
        block, token = content["block"], content["token"]
        yield self._line("holder", self._name(content["holder"]))
        yield self._line("token", f"{token['symbol']} · {token['chain']} · {token['address']}")
        units = f"{content['units']} / {token['declared_fractions']}"
        yield self._line("units", units)
        yield self._line("frozen", content["frozen_units"])
        if whole := sum(map(_is_frozen, content["wallets"])):
            yield self._line("wallet_frozen", f"{whole} / {len(content['wallets'])}")
        when = written(_time(block["time"]))
        yield self._line("block", f"{block['number']} · {when} · {block['finality']}")

    def tables(self, content: Record) -> Iterator[Mapping[str, Any]]:
        if content["kind"] == "HOLDING":
            yield self._table(
                "wallets",
                ("wallet", "units", "frozen"),
                [
                    [
                        each["address"],
                        each["balance"],
                        self.word("whole") if _is_frozen(each) else each["frozen"],
                    ]
                    for each in content["wallets"]
                ],
            )
            return
        whole = content["kul_hissay"]
        yield self._table(
            "owners",
            ("name", "hissa", "fraction"),
            [
                [self._name(owner), f"{owner['hissa']} / {whole}", owner["fraction"]]
                for owner in content["owners"]
            ],
        )
        yield self._table(
            "encumbrances",
            ("kind", "effect", "rank", "amount"),
            [
                [item["kind"], item["effect"], item["rank"] or "", _rupees(item["amount"])]
                for item in content["encumbrances"]
            ],
        )

    def proof(self, proof: Record | None) -> Iterator[Line]:
        if proof is None:
            return
        anchor = proof["anchor"]
        yield self._line("entry", f"{proof['seq']} / {proof['tree_size']}")
        yield self._line("root", proof["root"])
        yield self._line("contract", f"{anchor['chain']} {anchor['contract']}")
        yield self._line("transaction", anchor["tx_hash"])

    def _table(
        self, title: str, columns: tuple[str, ...], rows: list[list[str]]
    ) -> Mapping[str, Any]:
        return {
            "title": self.word(title),
            "columns": [self.word(name) for name in columns],
            "rows": rows,
            "none": self.word("none"),
        }

    def _line(self, name: str, value: str) -> Line:
        return {"label": self.word(name), "value": value}

    def _name(self, person: Mapping[str, str | None]) -> str:
        urdu = person["name_ur"]
        return (urdu if self._language is Language.URDU and urdu else person["name"]) or ""


def _is_frozen(wallet: Record) -> bool:
    """Tell whether it is frozen whole; the first certificates do not say."""
    return bool(wallet.get("wallet_frozen"))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _rupees(amount: Mapping[str, str] | None) -> str:
    return lakh_grouped(Money.parse(amount["amount"])) if amount else ""
