"""What each process tells Prometheus agrees with what was asked of it, to the last one."""

import contextlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import time
import unittest
import urllib.request
from collections import Counter

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from checked_load import record, routers, run_load, train_rides  # noqa: E402
from damage import flip_bit  # noqa: E402
from espalier_cluster import BIN, ROOT, Cluster, Wire, predict_header, wait_until  # noqa: E402

import espalier  # noqa: E402

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
        before, again = total(router, "espalier_router_requests_total", code="ok"), total(router, "espalier_router_asked_again_total")
        took = total(router, "espalier_router_answering_seconds_count")
        parts = sum(total(shard, "espalier_shard_parts_answered_total", tenant="acme") for shard in self.scrape("shard"))
        load = run_load(self.cluster, recording, "w8", 1)
        self.assertEqual(load["codes"], {"ok": load["sent"]})
        router = self.scrape("router")[0]
        self.assertEqual(total(router, "espalier_router_requests_total", code="ok") - before, load["sent"])
        self.assertEqual(total(router, "espalier_router_requests_total", code="ok", tenant="acme"), total(router, "espalier_router_requests_total", code="ok"))
        self.assertEqual(total(router, "espalier_router_answering_seconds_count") - took, load["sent"])
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

    def test_a_scraper_that_says_nothing_or_reads_nothing_holds_no_other(self):
        for process in self.cluster.processes():
            host, port = process["metrics"].rsplit(":", 1)
            with contextlib.ExitStack() as open_ones:
                for _ in range(10):
                    slow = open_ones.enter_context(socket.create_connection((host, int(port))))
                    slow.sendall(b"GET /metrics HTTP/1.1\r\n")
                    mute = open_ones.enter_context(socket.create_connection((host, int(port))))
                    mute.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                began = time.monotonic()
                self.assertIn("espalier_build_info", scrape(process["metrics"]))
                self.assertLess(time.monotonic() - began, 1)

    def test_every_metric_is_in_the_document(self):
        document = (ROOT / "docs" / "metrics.md").read_text()
        said = set()
        for role in ("registry", "shard", "router"):
            for samples in self.scrape(role):
                said |= {re.sub(r"_(bucket|sum|count)$", "", name) if "_seconds_" in name else name
                         for name in samples if name.startswith(("espalier_", "process_"))}
        self.assertEqual({name for name in said if f"`{name}`" not in document}, set())


ROW = {"distance_km": 4.2, "hour": 8, "vehicle": "standard", "weather": "dry"}
REASONS = ("exact", "no_version", "previous", "overlay_not_ready", "cold", "corrupt", "quarantined", "over_budget", "removed")


class Generator:
    """Sends what it is given to the routers in turn, many under way, and counts what it got."""

    def __init__(self, endpoints):
        self.wires = [Wire(endpoint) for endpoint in endpoints]
        self.sent = 0
        self.codes, self.parts, self.failed = Counter(), Counter(), Counter()

    def close(self):
        for wire in self.wires:
            wire.__exit__()

    def send_all(self, messages, window=64):
        """`messages`: lists of frames after the request id. What was sent is answered, each once."""
        open_ = [set() for _ in self.wires]
        for i, frames in enumerate(messages):
            place = i % len(self.wires)
            open_[place].add(self.wires[place].send(*frames))
            self.sent += 1
            while len(open_[place]) >= window:
                self.take(place, open_[place])
        for place, waited_for in enumerate(open_):
            while waited_for:
                self.take(place, waited_for)

    def take(self, place, open_):
        request_id, header, *_ = self.wires[place].receive(seconds=20)
        open_.remove(request_id)
        reply = msgpack.unpackb(header)
        self.codes[espalier.Code(reply["status"]).name.lower()] += 1
        for part in reply.get("parts", []) if reply["status"] == 0 else []:
            if part.get("status", 0) != 0:
                self.failed[espalier.Code(part["status"]).name.lower()] += 1
                continue
            said = part["provenance"]
            self.parts[str(len(said["asked"]) - len(said["served"])), REASONS[said["reason"]]] += 1


def request(*nodes, tenant="acme", model="duration", budget_us=2_000_000, row=ROW):
    return [predict_header(tenant, model, nodes, budget_us=budget_us)] + [msgpack.packb({"rows": [row]})] * len(nodes)


class MixedLoad(unittest.TestCase):
    """All that can become of a request, at once: the generator's own counts are those of the routers and of the shards."""

    def setUp(self):
        options = {"scrub-interval": 0, "lease-ms": 600_000, "routers": 2}
        self.cluster = Cluster(shards=3, metrics=True, verify="always", **options).__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        for tenant in ("acme", "slow"):
            train_rides(self.cluster, tenant)
        self.cluster.run("tenant", "set", "slow", "--requests-per-second", 20)
        with espalier.Registry(self.cluster.registry()) as registry:
            versions = registry.call("versions", {"tenant": "acme", "model": "duration"})["versions"]
        self.artefacts = {tuple(version.get("partition", [])): version["artefact"] for version in versions}
        self.leaves = sorted(node for node in self.artefacts if len(node) == 2)
        self.chance = random.Random(11)
        self.generator = Generator(routers(self.cluster))
        self.addCleanup(self.generator.close)

    def scraped(self, role):
        return [scrape(process["metrics"]) for process in self.cluster.processes(role)]

    @contextlib.contextmanager
    def stopped(self, *pids):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def mixture(self, count):
        """Of everything that needs nothing to be stopped, in an order that only chance knows."""
        nodes = list(self.artefacts)
        kinds = [
            lambda: request(self.chance.choice(nodes)),
            lambda: request(self.chance.choice(self.leaves), tenant="slow"),
            lambda: request(["germany", "nowhere"]),
            lambda: request(["nowhere", "at-all"]),
            lambda: request(["too", "deep", "a", "path"]),
            lambda: request(*self.chance.choices(nodes, k=5)),
            lambda: request([], ["nowhere"], ["germany", "", "x", "y"], self.chance.choice(self.leaves)),
            lambda: request([], row={"distance_km": "far"}),
            lambda: request([], model="nothing"),
            lambda: request([], tenant="nobody"),
            lambda: request([], budget_us=0),
            lambda: request([], budget_us=1),
            lambda: request([], tenant="NOT A NAME"),
            lambda: [b"\xc1 not msgpack"],
            lambda: [{"v": 1, "op": "nonsense"}],
            lambda: request([])[:1],
        ]
        # Each often enough for the limited tenant to be over its limit.
        return [kinds[i % len(kinds)]() for i in self.chance.sample(range(count), count)]

    def assert_all_agree(self, before):
        """Both routers' counts are the generator's, and the shards' those of the routers."""
        def grew(role, name, *labels):
            """By the labels' values."""
            sums = Counter()
            for now, was in zip(self.scraped(role), before[role]):
                for have, value in now.get(name, {}).items():
                    sums[tuple(dict(have)[label] for label in labels)] += int(value - was.get(name, {}).get(have, 0))
            return +sums

        def one(counts):
            return Counter({(key,): value for key, value in counts.items()})

        answered = sum(self.generator.parts.values())
        said = {role: grew(role, f"espalier_{role}_parts_by_level_total", "levels_above", "reason") for role in ("router", "shard")}
        self.assertEqual(grew("router", "espalier_router_requests_total", "code"), one(self.generator.codes))
        self.assertEqual(said["router"], self.generator.parts)
        self.assertEqual(grew("router", "espalier_router_parts_failed_total", "code"), one(self.generator.failed))
        by_reason = Counter()
        for (_, reason), count in self.generator.parts.items():
            by_reason[reason,] += count
        self.assertEqual(grew("router", "espalier_router_parts_answered_total", "reason"), by_reason)
        wait_until(lambda: sum(grew("shard", "espalier_shard_requests_total", "code").values())
                   == grew("router", "espalier_router_sent_total")[()], what="the shards to have answered all that they were sent")
        said["shard"] = grew("shard", "espalier_shard_parts_by_level_total", "levels_above", "reason")
        wait_until(lambda: grew("router", "espalier_router_parts_by_level_total", "levels_above", "reason")
                   + grew("router", "espalier_router_parts_unused_total", "levels_above", "reason") == said["shard"],
                   what=f"the routers to have counted what shards answered: {said}")
        unused = grew("router", "espalier_router_parts_unused_total", "reason")
        self.assertEqual(grew("shard", "espalier_shard_parts_answered_total", "reason"), by_reason + unused)
        self.assertLess(sum(unused.values()), answered / 10, "only what took longer than its budget")
        self.assertEqual(grew("shard", "espalier_shard_parts_failed_total", "code"),
                         one(self.generator.failed) + grew("router", "espalier_router_parts_unused_failed_total", "code"))
        sent = grew("router", "espalier_router_sent_total")[()]
        self.assertEqual(grew("shard", "espalier_shard_answering_seconds_count")[()], sent)
        print(f"{self.generator.sent} requests, {answered} parts answered: {dict(self.generator.codes)}, {dict(self.generator.parts)}, "
              f"failed {dict(self.generator.failed)}; {sent} pieces sent to shards", file=sys.stderr)

    def test_the_generator_the_routers_and_the_shards_agree_to_the_last_one(self):
        before = {role: self.scraped(role) for role in ("router", "shard")}
        self.generator.send_all(self.mixture(1600))
        self.cluster.run("quarantine", "acme/duration@" + "/".join(self.leaves[0]), "--wait")
        self.generator.send_all([request(self.leaves[0])] * 40 + self.mixture(160))
        registry = self.cluster.processes("registry")[0]["pid"]
        shards = self.cluster.processes("shard")
        with self.stopped(registry):  # so that nothing is mended before it is seen
            damaged = self.leaves[1:4]
            for shard in shards:
                for path in (self.cluster.dir / "shards" / shard["name"] / "pack").glob("*.pack"):
                    for node in damaged:
                        flip_bit(path, self.artefacts[node], self.chance)
            self.generator.send_all([request(self.chance.choice(damaged)) for _ in range(40)] + self.mixture(160))
            # Two of three shards stand, which are both replicas of some leaves.
            with self.stopped(*[shard["pid"] for shard in shards[1:]]):
                healthy = [leaf for leaf in self.leaves[4:] if self.artefacts[leaf] not in {self.artefacts[node] for node in damaged}]
                until = time.monotonic() + 20
                while not any(reason == "cold" for _, reason in self.generator.parts) and time.monotonic() < until:
                    self.generator.send_all([request(leaf, budget_us=300_000) for leaf in healthy])
        for reason in ("exact", "no_version", "quarantined", "corrupt", "cold"):
            self.assertGreater(sum(count for (_, said), count in self.generator.parts.items() if said == reason), 0, reason)
        for code in ("ok", "invalid_argument", "not_found", "overloaded", "deadline_exceeded", "unimplemented"):
            self.assertGreater(self.generator.codes[code], 0, code)
        self.assertGreater(len({levels for levels, _ in self.generator.parts}), 2)
        self.assert_all_agree(before)


if __name__ == "__main__":
    unittest.main()
