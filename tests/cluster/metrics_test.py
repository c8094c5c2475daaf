"""What each process tells Prometheus agrees with what was asked of it, to the last one."""

import json
import pathlib
import re
import subprocess
import sys
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from checked_load import record, run_load, train_rides  # noqa: E402
from espalier_cluster import BIN, ROOT, Cluster, Wire, wait_until  # noqa: E402

SAMPLE = re.compile(r'^([a-zA-Z0-9_:]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def scrape(address):
    """{name: {labels: value}} of one process; labels are a frozenset of pairs."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    samples = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SAMPLE.match(line).groups()
        samples.setdefault(name, {})[frozenset(LABEL.findall(labels or ""))] = float(value)
    return samples


def total(samples, name, **labels):
    """The sum over those that have the labels."""
    return sum(value for have, value in samples.get(name, {}).items() if set(labels.items()) <= have)


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=2, metrics=True).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        train_rides(cls.cluster)

    def scrape(self, role):
        return [scrape(process["metrics"]) for process in self.cluster.processes(role)]

    def test_metrics_json_names_each_process(self):
        targets = json.loads((self.cluster.dir / "metrics.json").read_text())
        self.assertEqual({(t["labels"]["role"], *t["targets"]) for t in targets},
                         {(p["role"], p["metrics"]) for p in self.cluster.processes()})
        for target in targets:
            build = scrape(target["targets"][0])["espalier_build_info"]
            self.assertEqual([dict(labels)["role"] for labels in build], [target["labels"]["role"]])

    def test_requests_and_parts_are_counted_to_the_last_one(self):
        recording = record(self.cluster, "recording")
        router = self.scrape("router")[0]
        before, again = total(router, "espalier_router_requests_total"), total(router, "espalier_router_asked_again_total")
        parts = sum(total(shard, "espalier_shard_parts_answered_total", tenant="acme") for shard in self.scrape("shard"))
        load = run_load(self.cluster, recording, "w8", 1)
        self.assertEqual(load["codes"], {"ok": load["sent"]})
        router = self.scrape("router")[0]
        self.assertEqual(total(router, "espalier_router_requests_total") - before, load["sent"])
        again = total(router, "espalier_router_asked_again_total") - again
        after = sum(total(shard, "espalier_shard_parts_answered_total", tenant="acme") for shard in self.scrape("shard"))
        # What was asked of a second shard as well, because the first stayed silent, may have been answered by both.
        self.assertGreaterEqual(after - parts, load["sent"])
        self.assertLessEqual(after - parts, load["sent"] + again)

    def test_the_registry_counts_requests_by_operation_and_outcome(self):
        def counted(**labels):
            return total(self.scrape("registry")[0], "espalier_registry_requests_total", **labels)

        ok, missing, unknown = counted(op="models", code="ok"), counted(op="releases", code="not_found"), counted(op="_unknown")
        with Wire(self.cluster.file()["registry"][0]) as wire:
            wire.ask({"v": 1, "op": "models"})
            wire.ask({"v": 1, "op": "releases", "tenant": "acme", "model": "nothing", "tag": "production"})
            wire.ask({"v": 1, "op": "nonsense"})
        self.assertEqual(counted(op="models", code="ok"), ok + 1)
        self.assertEqual(counted(op="releases", code="not_found"), missing + 1)
        self.assertEqual(counted(op="_unknown"), unknown + 1)

    def test_the_registry_says_how_far_the_shards_are(self):
        def lags():
            return self.scrape("registry")[0].get("espalier_registry_shard_lag_epochs", {})

        wait_until(lambda: len(lags()) == 2 and set(lags().values()) == {0}, what="both shards answer from the newest epoch")
        samples = self.scrape("registry")[0]
        self.assertEqual(total(samples, "espalier_registry_shards", state="serving"), 2)
        self.assertGreaterEqual(total(samples, "espalier_registry_served_seconds_count"), 1)
        epochs = {total(shard, "espalier_shard_epoch") for shard in self.scrape("shard")}
        self.assertEqual(epochs, {total(samples, "espalier_registry_epoch")})

    def test_a_port_that_is_taken_is_said_and_ends_the_start(self):
        registry, taken = self.cluster.file()["registry"][0], self.cluster.processes("registry")[0]["metrics"]
        for program, *words in (("shard", "--name", "s9", "--dir", self.cluster.folder / "s9"), ("router",)):
            ended = subprocess.run([str(word) for word in (BIN / f"espalier-{program}", *words, "--registry", registry, "--metrics", taken,
                                                           "--bind", f"ipc://{self.cluster.folder}/more.sock")],
                                   capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual(ended.returncode, 1, ended.stderr)
            self.assertIn(f"cannot listen at {taken}", ended.stderr)

    def test_every_metric_is_in_the_document(self):
        document = (ROOT / "docs" / "metrics.md").read_text()
        said = set()
        for role in ("registry", "shard", "router"):
            for samples in self.scrape(role):
                said |= {re.sub(r"_(bucket|sum|count)$", "", name) if "_seconds_" in name else name
                         for name in samples if name.startswith(("espalier_", "process_"))}
        self.assertEqual({name for name in said if f"`{name}`" not in document}, set())


if __name__ == "__main__":
    unittest.main()
