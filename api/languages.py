"""English or Urdu, as Accept-Language asks (RFC 9110, section 12.5.4; RFC 4647, lookup)."""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry.kernel.messages import Language, speak, spoken

MOST_RANGES = 32
_RANGE = re.compile(
    r"(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)(?:\s*;\s*[qQ]=([01](?:\.[0-9]{0,3})?))?"
)
_PREFIX = "/v1/"


def negotiate(asked: str | None) -> Language:
    """Return the language that is wanted most of those that we speak.

    Of two wanted alike, the one named first; English where none is named, or none of ours. What
    cannot be read is passed over.
    """
    wanted: dict[str, float] = {}
    for part in (asked or "").split(",")[:MOST_RANGES]:
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            continue
        # Lookup shortens a range until it fits: ur-PK is Urdu.
        name = match[1].lower().split("-")[0]
        quality = min(float(match[2] or 1), 1.0)
        wanted[name] = max(quality, wanted.get(name, 0.0))
    others = wanted.pop("*", 0.0)
    named = [name for name in wanted if name in list(Language)]
    ranked = [(wanted[name], Language(name)) for name in named]
    ranked += [(others, language) for language in Language if language not in named]
    # `max` keeps the first of those that are alike.
    quality, best = max(ranked, key=lambda pair: pair[0])
    return best if quality > 0 else Language.ENGLISH


class SpeakLanguages:
    """Has every request under /v1 answered in the language that it asks for, and says so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            await self._app(scope, receive, send)
            return
        speak(negotiate(Headers(scope=scope).get("accept-language")))

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                name_language(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, tell)


def name_language(headers: MutableHeaders) -> None:
    """Say in an answer's head which language it is in, unless it does already."""
    headers.setdefault("Content-Language", spoken().value)
    headers.add_vary_header("Accept-Language")
