"""SQS server process: reads the fields of a JSON request and refuses what has the wrong type, as SQS words it."""

from typing import Any, Final

from worker.testing.sqs_server.errors import SqsError, missing_parameter

_TYPE: Final = "SerializationException"


def _refuse(value: object, wanted: str) -> SqsError:
    if isinstance(value, dict):
        return SqsError(_TYPE, "Start of structure or map found where not expected.")
    if isinstance(value, list):
        return SqsError(_TYPE, "Start of list found where not expected")
    if isinstance(value, str):
        return SqsError(_TYPE, f"STRING_VALUE can not be converted to {wanted}")
    return SqsError(_TYPE, f"NUMBER_VALUE can not be converted to {wanted}")


def text(fields: dict[str, Any], name: str) -> str | None:
    """A string field, None where absent; numbers and booleans become text, as SQS casts them."""
    value = fields.get(name)
    if value is None or type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise _refuse(value, "a String")


def required_text(fields: dict[str, Any], name: str, *, called: str = "") -> str:
    """A string field that must be there and not blank; `called` is its name in the error message."""
    value = fields.get(name)
    if type(value) is not str:
        value = text(fields, name)
    if not value or value.isspace():
        raise missing_parameter(called or name)
    return value


def integer(fields: dict[str, Any], name: str) -> int | None:
    """An integer field, None where absent."""
    value = fields.get(name)
    if value is None or type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise _refuse(value, "an Integer")


def texts(fields: dict[str, Any], name: str) -> list[str]:
    """A list of strings, empty where absent."""
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _refuse(value, "a List")
    if all(type(item) is str for item in value):
        return value
    return [text({name: item}, name) or "" for item in value]


def mapping(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """An object field, empty where absent."""
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _refuse(value, "a Map")
    return value


def text_mapping(fields: dict[str, Any], name: str) -> dict[str, str]:
    """An object of strings (queue attributes, tags); members that are null count as absent."""
    values = mapping(fields, name)
    return {key: text(values, key) or "" for key, value in values.items() if value is not None}
