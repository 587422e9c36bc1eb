"""What every bench gives: conditions and rows, as JSON for programs and as a table for people."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One number. `peer` is the same thing measured on another program in the same run, None without one."""

    case: str
    metric: str
    unit: str
    hearth: float
    peer_name: str | None = None
    peer: float | None = None

    @property
    def ratio(self) -> float | None:
        """hearth / peer; None without a peer or where the peer is 0."""
        if self.peer is None or self.peer == 0:
            return None
        return round(self.hearth / self.peer, 4)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished bench. `conditions` says what somebody needs to repeat it: sizes, rates, machine."""

    name: str
    rows: Sequence[Row]
    conditions: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: {"name", "conditions", "rows": [{"case", "metric", "unit", "hearth", ...}]}."""
        rows = [{**asdict(row), "ratio": row.ratio} for row in self.rows]
        return {"name": self.name, "conditions": {**machine(), **self.conditions}, "rows": rows}


def machine() -> dict[str, Any]:
    """What the machine is, for `conditions`."""
    return {
        "cpu_cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


_ROW_TYPES: dict[str, tuple[type, ...]] = {
    "case": (str,),
    "metric": (str,),
    "unit": (str,),
    "hearth": (int, float),
    "peer_name": (str, type(None)),
    "peer": (int, float, type(None)),
    "ratio": (int, float, type(None)),
}


def complaints(result: object) -> list[str]:
    """What is wrong with a result in its JSON form; empty when it is as every bench promises."""
    if not isinstance(result, dict) or set(result) != {"name", "conditions", "rows"}:
        return ["a result has exactly the fields name, conditions and rows"]
    found = []
    if not isinstance(result["name"], str) or not result["name"]:
        found.append("name must be a text")
    if not isinstance(result["conditions"], dict) or not result["conditions"]:
        found.append("conditions must be a table that is not empty")
    rows = result["rows"]
    if not isinstance(rows, list) or not rows:
        return [*found, "rows must be a list that is not empty"]
    for number, row in enumerate(rows, 1):
        found += [f"row {number}: {text}" for text in _row_complaints(row)]
    return found


def _row_complaints(row: object) -> list[str]:
    if not isinstance(row, dict) or set(row) != set(_ROW_TYPES):
        return [f"a row has exactly the fields {', '.join(_ROW_TYPES)}"]
    found = [
        f"{name} must not be {row[name]!r}"
        for name, types in _ROW_TYPES.items()
        if not isinstance(row[name], types) or isinstance(row[name], bool)
    ]
    if (row["peer"] is None) != (row["peer_name"] is None):
        found.append("peer and peer_name are both given or both null")
    if row["peer"] is None and row["ratio"] is not None:
        found.append("a ratio needs a peer")
    return found


def write_json(result: Mapping[str, Any], path: Path) -> None:
    """Write a result; OSError when the file cannot be written."""
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def table(result: Mapping[str, Any]) -> str:
    """The same result as a table in plain text, one line a row, conditions above it."""
    conditions = ", ".join(f"{key}={value}" for key, value in result["conditions"].items())
    header = ("case", "metric", "unit", "hearth", "peer", "peer is", "hearth/peer")
    lines = [header]
    for row in result["rows"]:
        cells = (row["case"], row["metric"], row["unit"], _number(row["hearth"]))
        lines.append((*cells, _number(row["peer"]), row["peer_name"] or "-", _number(row["ratio"])))
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    numeric = {3, 4, 6}
    texts = [
        "  ".join(
            cell.rjust(width) if column in numeric else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([f"{result['name']}: {conditions}", texts[0], rule, *texts[1:]])


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value == int(value) and abs(value) < 1e9:
        return str(int(value))
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"
