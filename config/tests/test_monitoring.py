"""Alert rules and the dashboard use only metrics that exist."""

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from accounts.grpc import metrics as grpc_metrics
from common.metrics import registry, scrape
from config.environment import BASE_DIR

DOCKER = BASE_DIR / "docker"
DASHBOARD = json.loads((DOCKER / "grafana" / "dashboards" / "bureau.json").read_text())
RULES = yaml.safe_load((DOCKER / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
METRICS_PAGE = (BASE_DIR / "docs" / "metrics.md").read_text()
DOCUMENTED_LABELS = {
    name: set(re.findall(r"\w+", labels))
    for name, labels in re.findall(r"^\| `(bureau_\w+)` \| ([\w, ]*)\|", METRICS_PAGE, re.M)
}
HISTOGRAM_SUFFIXES = ("", "_bucket", "_count", "_sum")
# Prometheus adds these to each scrape.
PROMETHEUS_METRICS = {"up", "ALERTS"}


def panels() -> Iterator[dict[str, Any]]:
    yield from (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """Return the labels of every metric by its name."""
    found = {}
    for family in list(registry.REGISTRY._collector_to_names):
        for name in (metric.name for metric in family.describe()):
            ends = HISTOGRAM_SUFFIXES if family._type == "histogram" else ("", "_total")
            found |= {name + end: {*family._labelnames, "le"} for end in ends}
    return found


@pytest.mark.django_db(transaction=True)
def test_every_metric_and_label_exists(known: dict[str, set[str]], client: Client) -> None:
    client.get("/health")  # a histogram has samples after the first request
    families = text_string_to_metric_families(scrape.render()[0].decode())
    gauges = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    known = DOCUMENTED_LABELS | gauges | known
    for where, expression in expressions():
        names = set(re.findall(r"\b(?:bureau_\w+|up|ALERTS)\b", expression)) - PROMETHEUS_METRICS
        assert names <= set(known), where
        labels = {label for name in names for label in known[name]} | {"job"}
        for listed in re.findall(r"\bby \(([^)]*)\)|(\w+)(?:=~|!=|=)\"", expression):
            assert set(re.findall(r"\w+", listed[0] or listed[1])) <= labels, where


def test_every_declared_metric_is_documented_with_its_labels() -> None:
    declared = {
        f"{family._name}_total" if family._type == "counter" else family._name: {
            *family._labelnames
        }
        for family in registry.REGISTRY._collector_to_names
    }
    assert f"{grpc_metrics.CALLS._name}_total" in declared
    assert declared.items() <= DOCUMENTED_LABELS.items()


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_expression_is_valid_promql(where: str, expression: str) -> None:
    assert promql_parser.parse(expression)


def test_every_alert_has_a_severity_and_an_action() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    for rule in RULES:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "action"}


def test_the_dashboard_uses_the_provisioned_data_source() -> None:
    sources = yaml.safe_load(
        (DOCKER / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text()
    )
    uid = sources["datasources"][0]["uid"]
    assert {panel["datasource"]["uid"] for panel in panels()} == {uid}
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
