"""The API's description in OpenAPI 3.0.3, which every generator of clients reads without a doubt.

FastAPI writes 3.1, whose schemas are JSON Schema itself. The generators for Swift and Kotlin call
their support of it unfinished; what the API says has a form in 3.0 throughout (ADR 0046).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

VERSION = "3.0.3"
Schema = dict[str, Any]

_BY_NAME = ("properties", "patternProperties")
_SEVERAL = ("allOf", "anyOf", "oneOf")
_ONE = ("items", "additionalProperties", "not")
_NULL = {"type": "null"}
_UNKNOWN = ("propertyNames", "title")
"""3.0 has no word for the names of free properties; generators take a title for a class's name."""


def in_openapi_30(document: Mapping[str, Any]) -> dict[str, Any]:
    """Give a description in OpenAPI 3.1 as one in 3.0.3 that says the same.

    Parameters
    ----------
    document
        As FastAPI writes it; it stays as it is.
    """
    components = document["components"]
    return {
        **document,
        "openapi": VERSION,
        "info": _without(document["info"], "summary")
        | {"description": document["info"]["summary"]},
        "paths": _within(document["paths"]),
        "components": {
            **components,
            "schemas": {name: _schema(each) for name, each in components["schemas"].items()},
        },
    }


def _within(part: Any) -> Any:
    """Give a part of the description in which schemas stand under the word schema."""
    if isinstance(part, dict):
        return {
            key: _schema(held) if key == "schema" else _within(held) for key, held in part.items()
        }
    return [_within(each) for each in part] if isinstance(part, list) else part


def _schema(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema  # additionalProperties: true
    found = _without(schema, *_UNKNOWN)
    for key in _BY_NAME:
        if key in found:
            found[key] = {name: _schema(each) for name, each in found[key].items()}
    for key in _SEVERAL:
        if key in found:
            found[key] = [each if each == _NULL else _schema(each) for each in found[key]]
    for key in _ONE:
        if key in found:
            found[key] = _schema(found[key])
    for key, rewrite in _WORDS.items():
        if key in found:
            found = rewrite(found)
    return found


def _nullable(schema: Schema) -> Schema:
    """Write "or null" as a mark; a reference cannot bear one itself."""
    kinds = [each for each in schema["anyOf"] if each != _NULL]
    if len(kinds) == len(schema["anyOf"]):
        return schema
    rest = _without(schema, "anyOf") | {"nullable": True}
    if len(kinds) > 1:
        return rest | {"anyOf": kinds}
    (kind,) = kinds
    return rest | {"allOf": [kind]} if "$ref" in kind else {**kind, **rest}


def _beside(schema: Schema) -> Schema:
    """Wrap a reference that has neighbours: in 3.0 they would be ignored."""
    if len(schema) == 1:
        return schema
    return _without(schema, "$ref") | {"allOf": [{"$ref": schema["$ref"]}]}


def _constant(schema: Schema) -> Schema:
    return _without(schema, "const") | {"enum": [schema["const"]]}


def _exclusive(bound: str, mark: str, schema: Schema) -> Schema:
    """Write a bound that is not reached itself as a bound and a mark."""
    if schema[mark] is True:
        return schema  # of what may be null besides: it is written already
    return schema | {bound: schema[mark], mark: True}


def _example(schema: Schema) -> Schema:
    return _without(schema, "examples") | {"example": schema["examples"][0]}


def _row(schema: Schema) -> Schema:
    """Write a row of so many values as a list of that length of any of their kinds."""
    kinds = [_schema(each) for each in schema["prefixItems"]]
    distinct = [each for place, each in enumerate(kinds) if each not in kinds[:place]]
    return _without(schema, "prefixItems") | {
        "items": distinct[0] if len(distinct) == 1 else {"anyOf": distinct}
    }


def _binary(schema: Schema) -> Schema:
    return _without(schema, "contentMediaType") | {"format": "binary"}


def _without(schema: Mapping[str, Any], *words: str) -> Schema:
    return {key: held for key, held in schema.items() if key not in words}


_WORDS: Mapping[str, Callable[[Schema], Schema]] = {
    "anyOf": _nullable,
    "$ref": _beside,
    "const": _constant,
    "exclusiveMinimum": partial(_exclusive, "minimum", "exclusiveMinimum"),
    "exclusiveMaximum": partial(_exclusive, "maximum", "exclusiveMaximum"),
    "examples": _example,
    "prefixItems": _row,
    "contentMediaType": _binary,
}
