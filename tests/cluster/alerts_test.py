"""The alert rules and the dashboard in deploy/: promtool finds them right, each alert is raised by what it is for, and every metric that they name
is one that a running cluster tells."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from checked_load import train_rides  # noqa: E402
from espalier_cluster import ROOT, Cluster, Wire, predict_header, wait_until  # noqa: E402

RULES = ROOT / "deploy" / "prometheus" / "espalier.rules.yml"
TESTS = ROOT / "deploy" / "prometheus" / "espalier.rules.test.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "espalier.json"
METRIC = re.compile(r"\b(?:espalier|process)_[a-z0-9_]+")
UNEXPECTED = {"previous", "overlay_not_ready", "cold", "corrupt", "quarantined", "over_budget"}


def rules():
    """{alert: its lines}"""
    found = {}
    for line in RULES.read_text().splitlines():
        if alert := re.match(r"\s+- alert: (\w+)$", line):
            found[alert[1]] = lines = []
        elif found and line.strip():
            lines.append(line.strip())
    return found


def value_of(lines, key):
    return next((line.partition(": ")[2].strip("'").replace("''", "'") for line in lines if line.startswith(f"{key}:")), "")


def dashboard_expressions():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in panels if panel["type"] != "row"}


class Promtool(unittest.TestCase):
    def setUp(self):
        self.promtool = shutil.which("promtool")
        if self.promtool is None:
            self.skipTest("no promtool here: Debian has it in the package prometheus")

    def run_promtool(self, *words):
        done = subprocess.run([self.promtool, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_rules_and_the_example_are_right(self):
        self.run_promtool("check", "rules", RULES)
        self.run_promtool("check", "config", "--syntax-only", ROOT / "deploy" / "prometheus" / "prometheus.yml")

    def test_each_alert_is_raised_by_what_it_is_for_and_none_by_a_cluster_that_is_well(self):
        self.run_promtool("test", "rules", TESTS)

    def test_every_expression_of_the_dashboard_can_be_read(self):
        # As rules: promtool reads no dashboards.
        lines = ["groups:", "- name: dashboard", "  rules:"]
        for number, expression in enumerate(e for of in dashboard_expressions().values() for e in of):
            expression = expression.replace("$__rate_interval", "5m")
            lines += [f"  - record: panel:{number}", f"    expr: {json.dumps(expression)}"]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            file.write("\n".join(lines))
            file.flush()
            self.run_promtool("check", "rules", file.name)


class Rules(unittest.TestCase):
    def test_each_alert_has_a_test_and_says_what_to_do(self):
        tested = set(re.findall(r"- name: (Espalier\w+)", TESTS.read_text()))
        self.assertEqual(tested, set(rules()))
        for alert, lines in rules().items():
            self.assertGreater(len(value_of(lines, "description")), 40, alert)
            self.assertTrue(value_of(lines, "summary"), alert)
            self.assertIn(value_of(lines, "severity"), ("page", "ticket"), alert)

    def test_each_unexpected_reason_has_an_alert_of_its_own(self):
        said = {reason for lines in rules().values() for reason in re.findall(r'parts_answered_total\{reason="(\w+)"\}', value_of(lines, "expr"))}
        self.assertEqual(said, UNEXPECTED)


class Names(unittest.TestCase):
    def test_every_metric_named_is_one_that_a_running_cluster_tells(self):
        # Told only while there are any (tests/cluster/metrics_test.py compares what is told with the document).
        rare = {"espalier_shard_nodes_not_ready", "espalier_shard_fallback_alerts"}
        document = (ROOT / "docs" / "metrics.md").read_text()
        self.assertEqual({name for name in rare if f"`{name}`" not in document}, set())
        named = {}
        for alert, lines in rules().items():
            named[alert] = set(METRIC.findall(value_of(lines, "expr")))
        for title, expressions in dashboard_expressions().items():
            named[title] = {name for expression in expressions for name in METRIC.findall(expression)}
        all_named = set().union(*named.values())
        self.assertGreater(len(all_named), 40)
        with Cluster(shards=1, metrics=True) as cluster:
            train_rides(cluster)
            with Wire(cluster.router()) as wire:
                wire.ask(predict_header("acme", "duration", [["nowhere"]]), {"rows": [{}]})
                wire.ask(predict_header("acme", "nothing", [[]]), {"rows": [{}]})

            def missing():
                told = rare | {name for process in cluster.processes() for name in self.told(process)}
                return {where: names - told for where, names in named.items() if names - told}

            try:
                wait_until(lambda: not missing(), 10)
            except TimeoutError:
                self.fail(f"nobody tells {missing()}")

    def told(self, process):
        with urllib.request.urlopen(f"http://{process['metrics']}/metrics", timeout=10) as answer:
            return {re.split(r"[{ ]", line, maxsplit=1)[0] for line in answer.read().decode().splitlines() if not line.startswith("#")}


if __name__ == "__main__":
    unittest.main()
