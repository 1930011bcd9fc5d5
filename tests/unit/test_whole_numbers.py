"""`true` is no number anywhere in what a client sends, though Python counts it as 1."""

from collections.abc import Iterator
from typing import Annotated, Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

import api.app  # noqa: F401 (every body is defined once it stands)
from api.schemas.common import Body
from registry.asset.interface import ClassDetails

pytestmark = pytest.mark.unit

PROBES = (True, [True], (True, True), (True, True, "0"))


def kinds(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for kind in model.__subclasses__():
        yield kind
        yield from kinds(kind)


def parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from parts(part)


def numbers() -> list[tuple[str, FieldInfo]]:
    return [
        (f"{model.__name__}.{name}", field)
        for base in (Body, ClassDetails)
        for model in dict.fromkeys(kinds(base))
        for name, field in model.model_fields.items()
        if int in (found := list(parts(field.annotation))) and bool not in found
    ]


def test_numbers__known_ones__are_among_those_that_are_asked() -> None:
    asked = {name for name, _ in numbers()}

    assert {"OwnerFields.hissa", "ApartmentDetails.undivided_share"} <= asked


@pytest.mark.parametrize(("name", "field"), numbers(), ids=[name for name, _ in numbers()])
def test_whole_number__true__is_refused(name: str, field: FieldInfo) -> None:
    limited: Any = Annotated[field.annotation, name, *field.metadata]
    adapter: TypeAdapter[Any] = TypeAdapter(limited)

    for probe in PROBES:
        with pytest.raises(ValidationError):
            adapter.validate_python(probe)
