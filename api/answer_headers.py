"""What every answer tells a browser: that it is no page, belongs in no frame and in no cache.

Source: OWASP REST Security Cheat Sheet, "Security headers".
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
_UNLESS_SAID = (b"cache-control", b"no-store")
_OVER_TLS = (b"strict-transport-security", b"max-age=31536000")


class AnswerHeaders:
    """Adds them, also to refusals.

    Parameters
    ----------
    behind_tls
        The service is reached by https only, as in production.
    """

    def __init__(self, app: ASGIApp, *, behind_tls: bool) -> None:
        self._app = app
        self._always = (*_ALWAYS, _OVER_TLS) if behind_tls else _ALWAYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *self._always]
                if not any(name.lower() == _UNLESS_SAID[0] for name, _ in headers):
                    headers.append(_UNLESS_SAID)
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, tell)
