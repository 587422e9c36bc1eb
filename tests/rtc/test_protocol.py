"""The protocol's documents agree with the code: golden examples, schema, table of codes, guest page."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rtc.signalling import ProtocolError, dump_message, parse_client_message, parse_server_message
from rtc.signalling.schema import protocol_schema, schema_text

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/protocol"
PARSERS = {"client": parse_client_message, "server": parse_server_message}
SIDES = {"client": 0, "server": 1}  # places in the schema's anyOf
WORD = re.compile(r"[a-z]+(-[a-z]+)*")


def examples(folder: str) -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted((GOLDEN / folder).glob("*.json"))]


def validator(side: str) -> jsonschema.Draft202012Validator:
    """Takes the messages of one side alone."""
    schema = protocol_schema()
    one_side = schema["anyOf"][SIDES[side]] | {"$defs": schema["$defs"]}
    jsonschema.Draft202012Validator.check_schema(one_side)
    return jsonschema.Draft202012Validator(one_side)


def types(side: str) -> set[str]:
    schema = protocol_schema()
    names = [reference["$ref"].rpartition("/")[2] for reference in schema["anyOf"][SIDES[side]]["oneOf"]]
    return {schema["$defs"][name]["properties"]["type"]["const"] for name in names}


def check_example(side: str, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    message = PARSERS[side](text)
    dumped = json.loads(dump_message(message))
    expected = json.loads(text)
    if path.stem.endswith(".minimal"):
        assert {key: dumped[key] for key in expected} == expected
    else:
        assert dumped == expected
    assert PARSERS[side](dump_message(message)) == message
    validator(side).validate(expected)
    assert path.stem.startswith(message.type)


@pytest.mark.parametrize("path", examples("from-client"))
def test_an_example_of_a_client(path: Path) -> None:
    check_example("client", path)


@pytest.mark.parametrize("path", examples("from-server"))
def test_an_example_of_the_server(path: Path) -> None:
    check_example("server", path)


def check_refusal(side: str, path: Path) -> None:
    example = json.loads(path.read_text(encoding="utf-8"))
    text = example["text"] if "text" in example else json.dumps(example["message"])
    with pytest.raises(ProtocolError) as refused:
        PARSERS[side](text)
    assert (refused.value.code, refused.value.re) == (example["code"], example["re"])
    assert refused.value.sentence.endswith(".")
    if "message" in example:
        assert not validator(side).is_valid(example["message"])


@pytest.mark.parametrize("path", examples("refused-from-client"))
def test_what_the_server_refuses(path: Path) -> None:
    check_refusal("client", path)


@pytest.mark.parametrize("path", examples("refused-from-server"))
def test_what_a_client_refuses(path: Path) -> None:
    check_refusal("server", path)


@pytest.mark.parametrize("side", ["client", "server"])
def test_every_message_has_an_example(side: str) -> None:
    shown = {json.loads(path.read_text())["type"] for path in (GOLDEN / f"from-{side}").glob("*.json")}
    assert shown == types(side)


def test_no_message_goes_both_ways() -> None:
    assert not types("client") & types("server")


def test_the_schema_in_docs_is_the_one_of_the_code() -> None:
    written = (ROOT / "docs/protocol.schema.json").read_text(encoding="utf-8")
    assert written == schema_text(), "run: python -m rtc.signalling.schema > docs/protocol.schema.json"


def page_sources() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "server_lite/web").glob("*.js"))


def test_the_guest_page_knows_the_same_messages() -> None:
    """What it sends is a client's message, what it waits for is one of the server's, and it misses none."""
    source = page_sources()
    sent = set(re.findall(r"type: \"(\w+\.\w+)\"", source))
    handled = set(re.findall(r"(?:case |=== )\"(\w+\.\w+)\"", source))
    named = set(re.findall(r"\"((?:session|media)\.\w+)\"", source))
    assert sent == types("client")
    assert handled <= types("server")
    assert named == sent | handled
    answers = {"session.welcome", "media.answer", "media.selected", "media.muted"}  # known by their number
    assert types("server") - handled == answers


def test_the_guest_page_speaks_a_version_of_ours() -> None:
    from rtc.signalling import PROTOCOL_VERSIONS

    found = re.search(r"PROTOCOLS = (\[[\d, ]+\])", page_sources())
    assert found is not None
    assert set(json.loads(found[1])) <= set(PROTOCOL_VERSIONS)


class _Codes(ast.NodeVisitor):
    """First arguments of ProtocolError(...), problem_of's and close's codes, and tables of failures."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("ProtocolError", "close") and node.args:
            self._take(node.args[0])
        if name == "get" and len(node.args) == 2:  # FAILURES.get(status, (code, sentence))
            self._pair(node.args[1])
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if isinstance(node.value, ast.Dict) and getattr(node.targets[0], "id", "") == "FAILURES":
            for value in node.value.values:
                self._pair(value)
        self.generic_visit(node)

    def _pair(self, node: ast.expr) -> None:
        if isinstance(node, ast.Tuple) and node.elts:
            self._take(node.elts[0])

    def _take(self, node: ast.expr) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.found.add(node.value)


def codes_in_the_code() -> set[str]:
    visitor = _Codes()
    for room in ("rtc", "server_lite"):
        for path in (ROOT / room).rglob("*.py"):
            visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
    return visitor.found


def test_the_table_of_codes_is_complete() -> None:
    text = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    table = text[text.index("## Codes") :]
    told = re.findall(r"^\| `([a-z-]+)` \|", table, flags=re.MULTILINE)
    assert sorted(told) == told, "keep the table in order"
    assert set(told) == codes_in_the_code()
    assert all(WORD.fullmatch(code) for code in told)


def test_the_limits_told_are_the_limits_kept() -> None:
    from rtc.fanout import MAX_INCOMING_SSRCS
    from rtc.signalling import MAX_MESSAGE_BYTES, MAX_STREAMS
    from rtc.signalling.session import MAX_NAME
    from server_lite.config import Settings

    text = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    settings = Settings()
    assert f"| one message | {MAX_MESSAGE_BYTES:,} bytes |" in text
    assert f"| {MAX_STREAMS} |" in text
    assert f"1 to {MAX_NAME} characters" in text
    assert f"{settings.message_rate:.0f} a second, {settings.message_burst:.0f} at once" in text
    assert settings.max_members == settings.max_publishers
    assert f"| members of a room, and of them those who send pictures | {settings.max_members} |" in text
    assert f"| members of all rooms | {settings.max_members_of_all:,} |" in text
    for rate in (settings.member_pictures, settings.member_sound):
        told = f"{rate.bits // 10**6} Mbit/s" if rate.bits >= 10**6 else f"{rate.bits // 1000} kbit/s"
        assert f"{told}, {rate.packets:,} packets a second" in text
    assert f"| {settings.room_pictures // 10**6} Mbit/s;" in text
    assert f"| SSRCs of a member | {MAX_INCOMING_SSRCS} |" in text
    assert f"| connections of one address | {settings.max_connections_per_address} |" in text
    assert f"{settings.max_send_queue}, then it is cut off" in text
    assert f"place for {settings.lost_grace_s} s" in text
    assert f"within {settings.hello_timeout_s:.0f} s:" in text
