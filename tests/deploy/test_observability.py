"""Alerts and the dashboard ask for metrics that Tally really exports."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.sources import python_files, tree
from tests.deploy.manifests import ROOT

FOLDER = ROOT / "deploy" / "observability"
# Exported by Prometheus itself and by its client library for every process.
GIVEN = {
    "up",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
}
WORDS = {
    "sum",
    "by",
    "rate",
    "increase",
    "max",
    "min",
    "absent",
    "or",
    "unless",
    "offset",
    "changes",
    "histogram_quantile",
    "vector",
}
UNITS = {"s": "_seconds", "By": "_bytes"}
HISTOGRAM = ("_bucket", "_sum", "_count")
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "gauge_by": ("",),
    "gauge_each": ("",),
    "up_down_counter": ("",),
    "histogram": HISTOGRAM,
    "HistogramMetricFamily": HISTOGRAM,
}


def instruments(path: Path) -> Iterator[str]:
    """The names Prometheus knows our instruments by."""
    nodes = list(ast.walk(tree(path)))
    imported = {
        name.asname or name.name: name.name for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names
    }
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            kind = imported.get(node.func.id)
            if kind not in SUFFIXES:
                continue
            name, unit = (argument.value for argument in node.args[:2] if isinstance(argument, ast.Constant))
            ending = "" if kind == "HistogramMetricFamily" else UNITS.get(str(unit), "")
            for suffix in SUFFIXES[kind]:
                yield f"{str(name).replace('.', '_')}{ending}{suffix}"


def exported() -> set[str]:
    sources = (path for path in python_files("libs", "services") if path.name != "instruments.py")
    return GIVEN | {name for path in sources for name in instruments(path)}


def metrics_in(expression: str) -> set[str]:
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\"[^\"]*\"|(by|without|on|ignoring)\s*\([^)]*\)", " ", expression)
    return {name for name in re.findall(r"\b[a-z_]{2,}\b", bare) if name not in WORDS}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    return list(dashboard["panels"])


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_watches_metrics_that_exist(rule: dict[str, Any]) -> None:
    asked = metrics_in(rule["expr"])
    assert asked
    assert asked <= exported()


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_shows_metrics_that_exist(panel: dict[str, Any]) -> None:
    asked = {name for target in panel["targets"] for name in metrics_in(target["expr"])}
    assert asked
    assert asked <= exported()


def test_every_alert_says_what_is_wrong_how_bad_it_is_and_what_to_do() -> None:
    headings = re.findall(r"^### (.+)$", (ROOT / "docs" / "deployment.md").read_text(), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    for rule in alerts():
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"critical", "medium", "warning"}
        assert rule["annotations"]["action"] in anchors


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells
