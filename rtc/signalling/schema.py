"""Generates the protocol's JSON Schema: `python -m rtc.signalling.schema > docs/protocol.schema.json`."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import models_json_schema

from rtc.signalling.base import MAX_MESSAGE_BYTES, PROTOCOL_VERSIONS
from rtc.signalling.codec import ClientMessage, ServerMessage


def _union_members(annotated: Any) -> tuple[Any, ...]:
    members: tuple[Any, ...] = annotated.__origin__.__args__
    return members


def protocol_schema() -> dict[str, Any]:
    """JSON Schema 2020-12: `$defs` holds every message; the top level takes any message of either side."""
    client, server = _union_members(ClientMessage), _union_members(ServerMessage)
    # What a client may leave out is not required of it; what the server says is always whole.
    _, definitions = models_json_schema(
        [*((model, "validation") for model in client), *((model, "serialization") for model in server)],
        ref_template="#/$defs/{model}",
    )
    for model in (*client, *server):
        shape = definitions["$defs"][model.__name__]
        shape["required"] = sorted({"type", *shape.get("required", ())})
    _close_tables(definitions["$defs"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hearth signalling",
        "description": f"Protocol versions {list(PROTOCOL_VERSIONS)}; {MAX_MESSAGE_BYTES} bytes a message.",
        "anyOf": [
            {"title": "from a client", "oneOf": [{"$ref": f"#/$defs/{m.__name__}"} for m in client]},
            {"title": "from the server", "oneOf": [{"$ref": f"#/$defs/{m.__name__}"} for m in server]},
        ],
        "$defs": definitions["$defs"],
    }


def _close_tables(shape: Any) -> None:
    """Keys of a table that do not have the pattern are refused by the parser, and so by the schema."""
    if isinstance(shape, dict):
        if "patternProperties" in shape:
            shape["additionalProperties"] = False
        for part in shape.values():
            _close_tables(part)
    elif isinstance(shape, list):
        for part in shape:
            _close_tables(part)


def schema_text() -> str:
    return json.dumps(protocol_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
