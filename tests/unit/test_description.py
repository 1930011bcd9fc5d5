"""The description in OpenAPI 3.0: says what the one in 3.1 says."""

from __future__ import annotations

from typing import Any

import pytest

from api.description import VERSION, in_openapi_30

TEXT = {"type": "string"}
NULL = {"type": "null"}
OTHER = {"$ref": "#/components/schemas/Other"}


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """Give what becomes of a schema."""
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1", "summary": "what it is"},
        "paths": {"/x": {"get": {"parameters": [{"name": "schema", "schema": schema}]}}},
        "components": {"schemas": {"It": schema}, "securitySchemes": {}},
    }
    found = in_openapi_30(document)
    (parameter,) = found["paths"]["/x"]["get"]["parameters"]
    assert parameter["schema"] == found["components"]["schemas"]["It"]
    assert (found["openapi"], found["info"]["description"]) == (VERSION, "what it is")
    assert document["openapi"] == "3.1.0", "the document itself stays as it is"
    return dict(parameter["schema"])


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (TEXT, TEXT),
        (OTHER, OTHER),
        ({"anyOf": [TEXT, NULL]}, TEXT | {"nullable": True}),
        ({"anyOf": [OTHER, NULL]}, {"allOf": [OTHER], "nullable": True}),
        ({"anyOf": [TEXT, OTHER, NULL]}, {"anyOf": [TEXT, OTHER], "nullable": True}),
        ({"anyOf": [TEXT, OTHER]}, {"anyOf": [TEXT, OTHER]}),
        (OTHER | {"description": "d"}, {"allOf": [OTHER], "description": "d"}),
        (TEXT | {"const": "PKR"}, TEXT | {"enum": ["PKR"]}),
        (
            {"type": "integer", "exclusiveMinimum": 0},
            {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
        ),
        (
            {"type": "integer", "minimum": 0, "exclusiveMaximum": 9},
            {"type": "integer", "minimum": 0, "maximum": 9, "exclusiveMaximum": True},
        ),
        (
            {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, NULL]},
            {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "nullable": True},
        ),
        (TEXT | {"examples": ["a", "b"]}, TEXT | {"example": "a"}),
        (
            {"type": "array", "prefixItems": [TEXT, TEXT], "minItems": 2, "maxItems": 2},
            {"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2},
        ),
        (TEXT | {"contentMediaType": "application/octet-stream"}, TEXT | {"format": "binary"}),
        (TEXT | {"title": "Its Name"}, TEXT),
        ({"type": "object", "additionalProperties": True},) * 2,
    ],
)
def test_description__schema_of_31__says_the_same_in_30(
    schema: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert described(schema) == expected
    assert described({"type": "array", "items": schema}) == {"type": "array", "items": expected}


def test_description__properties_named_like_words__are_left_alone() -> None:
    schema = {
        "type": "object",
        "properties": {"title": TEXT, "const": {"anyOf": [TEXT, NULL]}, "schema": OTHER},
    }
    assert described(schema)["properties"] == {
        "title": TEXT,
        "const": TEXT | {"nullable": True},
        "schema": OTHER,
    }
