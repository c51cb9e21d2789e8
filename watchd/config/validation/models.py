"""The tables of the configuration as models of pydantic, made of the dataclasses' fields.

Only for the process that checks the file: pydantic and its models take 11 MiB.
"""

from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from watchd.config.handover import build
from watchd.config.schema.config import Config
from watchd.config.schema.section import Checked, Problem, Problems, Section, Written, default_of, key_of
from watchd.config.validation.environment import Settings

OWN_ERROR = "own"  # type of the errors whose text is watchd's
_HIDDEN = "**********"


class _Table(BaseModel):
    """A table of the file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_models: dict[type[Section], type[BaseModel]] = {}


def model_of(table: type[Section]) -> type[BaseModel]:
    """Return the model of a table."""
    if table not in _models:
        _models[table] = _made(table)
    return _models[table]


def _made(table: type[Section]) -> type[BaseModel]:
    types = get_type_hints(table, include_extras=True)
    found: dict[str, Any] = {}
    for field in fields(table):  # type: ignore[arg-type] # each table is a dataclass
        default, key = default_of(field), key_of(field.name)
        value = Field(... if default is MISSING else _as_model(default), alias=None if key == field.name else key)
        found[field.name] = (_annotation(types[field.name]), value)
    return create_model(
        table.__name__,
        __base__=Settings if table is Config else _Table,
        __doc__=table.__doc__,
        __validators__={"problems": _between_keys(table)},
        **found,
    )


def _between_keys(table: type[Section]) -> Any:
    """Return the check of the errors between several keys."""

    def check(model: BaseModel) -> BaseModel:
        if found := list(build(table, model.model_dump(by_alias=True)).problems()):
            raise _errors(found)
        return model

    return model_validator(mode="after")(check)


def _annotation(type_: Any) -> Any:
    """Return a type with models instead of tables, and pydantic's checks instead of watchd's."""
    if get_origin(type_) is Annotated:
        inner, *marks = get_args(type_)
        return Annotated[(_annotation(inner), *(each for mark in marks for each in _checks(mark)))]
    if isinstance(type_, type) and issubclass(type_, Section):
        return model_of(type_)
    arguments = tuple(map(_annotation, get_args(type_)))
    origin = get_origin(type_)
    if origin in (Union, UnionType):
        union: Any = Union[arguments]  # noqa: UP007 - made of a tuple
        tables = [each for each in arguments if isinstance(each, type) and issubclass(each, BaseModel)]
        return Annotated[union, Field(discriminator="kind")] if len(tables) > 1 else union
    return origin[arguments] if origin is not None else type_


def _checks(mark: object) -> Iterable[Any]:
    match mark:
        case Written(parse, format_, schema):
            yield PlainValidator(_telling(parse))
            yield PlainSerializer(format_, when_used="json")
            yield WithJsonSchema(dict(schema))
        case Checked(check, schema, secret):
            yield AfterValidator(_telling(check))
            if secret:
                yield PlainSerializer(lambda _: _HIDDEN, return_type=str, when_used="json")
            if schema is not None:
                yield WithJsonSchema(dict(schema))


def _telling(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a check whose errors are pydantic's."""

    def told(value: Any) -> Any:
        try:
            return check(value)
        except Problems as error:
            raise _errors(error.found) from None
        except ValueError as error:
            raise PydanticCustomError(OWN_ERROR, "{reason}", {"reason": str(error)}) from None

    return told


def _errors(found: Iterable[Problem]) -> ValidationError:
    details = [
        InitErrorDetails(type=PydanticCustomError(OWN_ERROR, "{reason}", {"reason": reason}), loc=location, input=None)
        for location, reason in found
    ]
    return ValidationError.from_exception_data("problems", details)


def _as_model(value: Any) -> Any:
    """Return a default with models instead of tables."""
    if isinstance(value, tuple):
        return tuple(map(_as_model, value))
    if not isinstance(value, Section):
        return value
    values = {field.name: _as_model(getattr(value, field.name)) for field in fields(value)}  # type: ignore[arg-type] # each table is a dataclass
    return model_of(type(value)).model_construct(**values)
