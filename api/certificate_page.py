"""What a phone shows that has scanned a certificate: one page, no script, nobody's name."""

from __future__ import annotations

from html import escape
from uuid import UUID

from fastapi.responses import HTMLResponse

from api.schemas.certificates import CertificateAnswer, CertificateStandingRead
from registry.kernel.clock import written
from registry.kernel.messages import Language, spoken, text_of

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.3rem}"
    ".state{padding:.8rem 1rem;border-inline-start:.4rem solid;font-size:1.1rem}"
    ".good{border-color:#197a3b}.bad{border-color:#b3261e}"
    "dt{color:#555;margin-top:.6rem}dd{margin:0;overflow-wrap:anywhere}"
)


def standing_page(standing: CertificateStandingRead) -> HTMLResponse:
    """Write how a certificate stands."""
    is_good = standing.state is CertificateAnswer.VALID
    lines = [
        ("number", str(standing.id)),
        ("kind", _word(f"title.{standing.kind}")),
        ("asset_code", standing.asset_code),
        ("issued", written(standing.issued_at)),
        ("proof", _word(f"anchor.{standing.anchoring}")),
    ]
    if standing.block is not None:
        lines.append(("block", f"{standing.block.number}"))
        if standing.block.degraded is not None:
            lines.append(("degraded", standing.block.degraded))
    lines.append(("checked", written(standing.checked_at)))
    changes = "".join(
        f"<li>{escape(_told(_word(f'cause.{change.cause}'), change.by, change.at))}</li>"
        for change in standing.changes
    )
    return _page(
        standing.state, _lines(lines) + (f"<ul>{changes}</ul>" if changes else ""), is_good=is_good
    )


def unknown_page(certificate_id: UUID) -> HTMLResponse:
    """Write that nobody has issued it."""
    return _page("UNKNOWN", _lines([("number", str(certificate_id))]), is_good=False, status=404)


def _told(what: str, by: str | None, at: object) -> str:
    when = written(at) if at is not None else ""  # type: ignore[arg-type]
    return " · ".join(part for part in (what, by, when) if part)


def _lines(lines: list[tuple[str, str]]) -> str:
    rows = "".join(
        f"<dt>{escape(_word(name))}</dt><dd><bdi>{escape(value)}</bdi></dd>"
        for name, value in lines
    )
    return f"<dl>{rows}</dl>"


def _page(state: str, body: str, *, is_good: bool, status: int = 200) -> HTMLResponse:
    language = spoken()
    direction = "rtl" if language is Language.URDU else "ltr"
    title = escape(_word("page"))
    return HTMLResponse(
        f'<!doctype html><html lang="{language}" dir="{direction}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>Milkiyat · {title}</h1>"
        f'<p class="state {"good" if is_good else "bad"}">{escape(_word(f"state.{state}"))}</p>'
        f"{body}</body></html>",
        status_code=status,
    )


def _word(name: str) -> str:
    return text_of("certificate", name)
