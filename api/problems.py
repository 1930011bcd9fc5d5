"""From errors to RFC 9457 problems: the one place that knows HTTP statuses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException

from api.auth.errors import HasToWait, Unauthenticated
from api.schemas.common import MEDIA_TYPE
from registry.kernel import errors
from registry.kernel.messages import Language, find_text, has_text, spoken, text_of
from registry.rulebook.constraints import CONSTRAINTS, Constraint
from registry.rulebook.service import Rule, RulesRefused, rule_book

log = structlog.get_logger()


STATUS: tuple[tuple[type[errors.RegistryError], int], ...] = (
    (errors.StaleVersion, 412),
    (errors.PreconditionRequired, 428),
    (errors.Invalid, 422),
    (errors.Unproven, 401),
    (errors.NotFound, 404),
    (errors.Forbidden, 403),
    (errors.Conflict, 409),
    (errors.Unavailable, 503),
)

_UNNAMED = Constraint("concurrent_change", "Somebody changed the same records at the same moment.")


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    values: Mapping[str, object] | None = None,
    **more: Any,
) -> JSONResponse:
    """Build one problem, in the caller's language where the catalogue has it.

    Parameters
    ----------
    values
        What the text in another language says of this refusal.
    """
    language = Language.ENGLISH
    if spoken() == Language.URDU and has_text("problems", code, values or {}):
        language = Language.URDU
        detail = text_of("problems", code, language, **(values or {}))
        more["remedy"] = text_of("remedies", code, language, **(values or {}))
    body: dict[str, Any] = {
        "type": f"urn:milkiyat:problem:{code}",
        "title": find_text("titles", str(status), language) or "The request was refused",
        "status": status,
        "detail": detail,
        "code": code,
    }
    headers = {"Content-Language": language.value, **(headers or {})}
    body |= {name: value for name, value in more.items() if value is not None}
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    app.add_exception_handler(errors.RegistryError, _refused)
    app.add_exception_handler(Unauthenticated, _unauthenticated)
    app.add_exception_handler(HasToWait, _too_early)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(IntegrityError, _constraint)
    app.add_exception_handler(StaleDataError, _raced)
    app.add_exception_handler(OperationalError, _database_away)
    app.add_exception_handler(psycopg.OperationalError, _database_away)  # before a session is open
    app.add_exception_handler(PoolTimeout, _database_away)
    app.add_exception_handler(DataError, _not_storable)
    app.add_exception_handler(Exception, _broken)


def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.RegistryError)
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    more: dict[str, Any] = {"remedy": error.remedy, "instance": request.url.path}
    if isinstance(error, errors.Invalid):
        more["field"] = error.field
    if isinstance(error, RulesRefused):
        more["rules"] = [
            _rule(result.rule, result.severity, result.detail) for result in error.failed
        ]
    elif error.rule is not None:
        more["rules"] = [_rule(rule_book()[error.rule], "CRITICAL", error.detail)]
    headers = {"Retry-After": "1"} if error.retryable else None
    if isinstance(error, errors.Unproven):
        headers = {"WWW-Authenticate": "Bearer"}  # RFC 9110: each 401 says how to be known
    return problem(status, error.code, error.detail, headers=headers, values=error.values, **more)


def _rule(rule: Rule, severity: str, detail: str | None) -> dict[str, str | None]:
    return {
        "id": rule.id,
        "severity": severity,
        "message": rule.message,
        "message_ur": rule.message_ur,
        "detail": detail,
        "remedy": rule.remedy,
    }


def _unauthenticated(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unauthenticated)
    challenge = "Bearer" if error.code == "token_missing" else 'Bearer error="invalid_token"'
    return problem(
        401,
        error.code,
        error.detail,
        headers={"WWW-Authenticate": challenge},
        remedy=error.remedy,
        instance=request.url.path,
    )


def _too_early(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HasToWait)
    return problem(
        429,
        error.code,
        error.detail,
        headers={"Retry-After": str(math.ceil(error.wait))},
        remedy=error.remedy,
        instance=request.url.path,
    )


def _unreadable(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # A field that we do not know comes first: the one that is missing is often its misspelling.
    items = sorted(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
    found = [
        {"field": "/" + "/".join(str(part) for part in item["loc"]), "message": item["msg"]}
        for item in items
    ]
    unknown = items[0]["type"] == "extra_forbidden"
    return problem(
        422,
        "unknown_field" if unknown else "request_invalid",
        f"{found[0]['field']}: {found[0]['message']}",
        instance=request.url.path,
        errors=found,
    )


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return too_large(request.url.path)
    codes = {404: "not_found", 405: "method_not_allowed", 400: "request_malformed"}
    return problem(
        error.status_code,
        codes.get(error.status_code, "request_refused"),
        str(error.detail),
        headers=error.headers,
        instance=request.url.path,
    )


def _constraint(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, IntegrityError)
    name = getattr(getattr(error.orig, "diag", None), "constraint_name", None) or ""
    kept = CONSTRAINTS.get(name, _UNNAMED)
    log.info("constraint_refused", constraint=name, path=request.url.path)
    rules = [_rule(rule_book()[kept.rule], "CRITICAL", kept.detail)] if kept.rule else None
    return problem(409, kept.code, kept.detail, instance=request.url.path, rules=rules)


def _raced(request: Request, _error: Exception) -> JSONResponse:
    return problem(
        409,
        "concurrent_change",
        "Somebody changed the same records at the same moment.",
        remedy="Read them again, and repeat the request.",
        instance=request.url.path,
    )


def _database_away(request: Request, error: Exception) -> JSONResponse:
    if isinstance(getattr(error, "orig", error), psycopg.errors.QueryCanceled):
        return _database_slow(request, error)
    log.error("database_away", path=request.url.path, reason=str(error))
    return problem(
        503,
        "database_unavailable",
        "The database does not answer. Nothing was changed.",
        headers={"Retry-After": "2"},
        remedy="Repeat the request under the same Idempotency-Key.",
        instance=request.url.path,
    )


def _database_slow(request: Request, error: Exception) -> JSONResponse:
    log.warning("statement_stopped", path=request.url.path, reason=str(error))
    return problem(
        503,
        "database_too_slow",
        "The database took too long over this request, and was stopped. Nothing was changed.",
        headers={"Retry-After": "10"},
        remedy="Ask for less at once, or repeat it later under the same Idempotency-Key.",
        instance=request.url.path,
    )


def _not_storable(request: Request, _error: Exception) -> JSONResponse:
    # A NUL in a text, a number out of range: the request's own fault.
    return problem(
        422,
        "value_not_storable",
        "A value of the request cannot be stored: a control character, or a number too large.",
        instance=request.url.path,
    )


def too_large(path: str) -> JSONResponse:
    """Refuse a body that is over the limit."""
    return problem(413, "request_too_large", "The request is larger than we take.", instance=path)


def _broken(request: Request, error: Exception) -> JSONResponse:
    log.error("request_failed", path=request.url.path, exc_info=error)
    return problem(
        500,
        "internal_error",
        "The fault is recorded. Nothing was changed.",
        remedy="Repeat the request under the same Idempotency-Key, or tell us.",
        instance=request.url.path,
    )
