"""Investors with passkeys, as the tests of signing in want them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx

from registry.kernel.actor import Actor, Role
from tests.api.house import Caller, House
from tests.authenticator import Authenticator
from tests.factories import numbers


@dataclass
class Person:
    """An investor, the device in their hand, and what it was given."""

    house: House
    actor: Actor = field(
        default_factory=lambda: Actor(f"holder-{next(numbers)}", frozenset({Role.INVESTOR}))
    )
    device: Authenticator = field(default_factory=Authenticator)

    @property
    def caller(self) -> Caller:
        """The person by a token of the organisation's issuer."""
        return self.house.caller(self.actor)

    def link(self, name: str = "My phone", caller: Caller | None = None) -> dict[str, Any]:
        """Add the device's passkey."""
        caller = caller or self.caller
        options = ok(caller.post("/v1/passkeys/registrations"))["public_key"]
        body = {"credential": self.device.create(options), "name": name}
        made: dict[str, Any] = ok(caller.post("/v1/passkeys", body), 201)
        return made

    def options(self) -> dict[str, Any]:
        """Ask for a challenge to sign in by."""
        asked: dict[str, Any] = ok(self.house.stranger().post("/v1/sessions/challenges"))[
            "public_key"
        ]
        return asked

    def answer(self, **lies: Any) -> httpx.Response:
        """Try to sign in."""
        return present(self.house, self.device.get(self.options(), **lies))

    def sign_in(self) -> dict[str, Any]:
        tokens: dict[str, Any] = ok(self.answer(), 201)
        return tokens


def present(house: House, credential: Any) -> httpx.Response:
    return house.stranger().post("/v1/sessions", {"credential": credential})


def refresh(house: House, token: str) -> httpx.Response:
    return house.stranger().post("/v1/sessions/refresh", {"refresh_token": token})


def ok(response: httpx.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json()


def linked(house: House, **device: Any) -> Person:
    """Give a person whose device has its passkey."""
    person = Person(house, device=Authenticator(**device))
    person.link()
    return person
