"""Documents against their published schemas: as much of JSON Schema as those files use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def published(name: str) -> dict[str, Any]:
    """docs/NAME.schema.json."""
    return json.loads((Path(__file__).parents[2] / f"docs/{name}.schema.json").read_text())


def wrong(
    value: Any, schema: dict[str, Any], whole: dict[str, Any] | None = None, at: str = "$"
) -> list[str]:
    """Where a value breaks a schema: as much of JSON Schema as the published file uses."""
    whole = whole or schema
    if "$ref" in schema:
        return wrong(value, whole["$defs"][schema["$ref"].removeprefix("#/$defs/")], whole, at)
    if "anyOf" in schema:
        tries = [wrong(value, each, whole, at) for each in schema["anyOf"]]
        return [] if [] in tries else [f"{at}: none of {len(tries)} forms"]
    known = {"type", "properties", "required", "items", "additionalProperties", "enum", "const", "title", "default",
             "description", "$schema", "$defs", "discriminator"}  # fmt: skip
    assert set(schema) <= known, f"{at}: this test doesn't know {set(schema) - known}"
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: {value!r} is none of {schema['enum']}"]
    if "const" in schema and value != schema["const"]:
        return [f"{at}: {value!r} is not {schema['const']!r}"]
    kinds = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "boolean": bool,
             "null": type(None)}  # fmt: skip
    kind = schema.get("type")
    if kind and (not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return [f"{at}: {value!r} is no {kind}"]
    found = [f"{at}: lacks {name}" for name in schema.get("required", ()) if name not in value]
    if isinstance(value, dict):
        rest = schema.get("additionalProperties", True)
        for name, each in value.items():
            if name in schema.get("properties", {}):
                found += wrong(each, schema["properties"][name], whole, f"{at}.{name}")
            elif isinstance(rest, dict):
                found += wrong(each, rest, whole, f"{at}.{name}")
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for number, each in enumerate(value):
            found += wrong(each, schema["items"], whole, f"{at}[{number}]")
    return found
