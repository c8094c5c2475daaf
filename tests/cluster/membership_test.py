"""Shards that join, drain, die and come back while requests go on; the registry away. Every answer's provenance is checked.

No answer comes later than MOST_MS. ESPALIER_FAILURE_ROUNDS: how often a shard joins and another drains (2; the full measure is 3). Leases are
short here.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest
from collections import Counter

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, ROOT, Cluster, Failed, Wire, predict_header, wait_until  # noqa: E402

ROUNDS = int(os.environ.get("ESPALIER_FAILURE_ROUNDS", "2"))
LEASE_MS = 1500
MOST_MS = 300
ROW = {"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "bike", "weather": "dry"}]}
TENANTS = ["acme", "globex", "initech"]


class Load(threading.Thread):
    """Asks for every leaf of every tenant, one request after the other, and keeps what is wrong."""

    def __init__(self, cluster, expected):
        super().__init__(daemon=True)
        self.endpoint = cluster.router()
        self.expected = expected  # by tenant and leaf: version and value
        self.asked, self.wrong, self.shards = 0, [], Counter()
        self.longest = 0.0
        self.stopped = threading.Event()

    def run(self):
        with Wire(self.endpoint) as wire:
            while not self.stopped.is_set():
                for (tenant, leaf), (version, value) in self.expected.items():
                    began = time.monotonic()
                    try:
                        reply, bodies = wire.ask(predict_header(tenant, "duration", [leaf], budget_us=5_000_000), ROW)
                    except TimeoutError as error:
                        self.wrong.append((tenant, leaf, str(error)))
                        continue
                    self.longest = max(self.longest, time.monotonic() - began)
                    self.asked += 1
                    part = reply["parts"][0] if reply["status"] == 0 else {"status": reply["status"], "message": reply.get("message")}
                    said = part.get("provenance", {})
                    self.shards[said.get("shard")] += 1
                    if part.get("status", 0) or said.get("reason", 0) or said["version"] != version or msgpack.unpackb(bodies[0])["value"] != value:
                        self.wrong.append((tenant, leaf, part))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.join()


class Membership(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(shards=2, **{"lease-ms": LEASE_MS}).__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.by_hand = {}
        self.addCleanup(self.end_shards)
        rides = self.cluster.folder / "rides.csv"
        self.cluster.run("sample-data", rides, "--rows", 20000)
        for tenant in TENANTS:
            self.cluster.train(ROOT / "examples" / "rides.toml", rides, tenant=tenant, where="split = train")
        self.expected = self.leaves()

    # ------------------------------------------------------------------------------------------------------ helpers

    def leaves(self):
        """What answers for each leaf that has a version of its own."""
        found = {}
        with Wire(self.cluster.router()) as wire:
            for tenant in TENANTS:
                for entry in self.cluster.json("tags", f"{tenant}/duration", "--tag", "production"):
                    leaf = entry["partition"].split("/") if isinstance(entry["partition"], str) else entry["partition"]
                    if len(leaf) != 2:
                        continue
                    reply, bodies = wire.ask(predict_header(tenant, "duration", [leaf]), ROW)
                    said = reply["parts"][0]["provenance"]
                    self.assertEqual(said.get("reason", 0), 0)
                    found[tenant, tuple(leaf)] = said["version"], msgpack.unpackb(bodies[0])["value"]
        self.assertGreater(len(found), 10)
        return found

    def end_shards(self):
        for process in self.by_hand.values():
            process.kill()
            process.wait()

    def load(self):
        return Load(self.cluster, self.expected)

    def start_shard(self, name, **options):
        """A shard by hand, as on another host; returns once it says that it is ready."""
        words = [BIN / "espalier-shard", "--name", name, "--dir", self.cluster.folder / name, "--registry", self.cluster.registry(),
                 "--bind", f"ipc://{self.cluster.folder}/{name}.sock"]
        for option, value in options.items():
            words += [f"--{option}", str(value)]
        log = open(self.cluster.folder / f"{name}.log", "ab")
        self.addCleanup(log.close)
        process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=log, text=True)
        self.addCleanup(process.stdout.close)
        self.by_hand[name] = process
        self.assertEqual(json.loads(process.stdout.readline())["ready"], "shard")
        return process

    def view(self):
        with Wire(self.cluster.registry()) as wire:
            return wire.ask({"v": 1, "op": "view"})[0]["view"]

    def states(self):
        names = ["serving", "joining", "draining", "gone"]
        return {shard["name"]: names[shard.get("state", 0)] for shard in self.view()["shards"]}

    def wait_for(self, **states):
        wait_until(lambda: self.states() == states, seconds=15, what=f"{states}")

    def pid(self, name):
        return next(p["pid"] for p in self.cluster.processes() if p["name"] == name)

    def assert_right(self, load):
        print(f"  {load.asked} answers, longest {load.longest * 1000:.0f} ms, by shard {dict(load.shards)}")
        self.assertGreater(load.asked, 0)
        self.assertEqual(load.wrong[:3], [])
        self.assertLessEqual(load.longest * 1000, MOST_MS)

    # -------------------------------------------------------------------------------------------------------- tests

    def test_a_shard_joins_and_another_drains_under_load(self):
        shards = ["s0", "s1"]
        for round_ in range(ROUNDS):
            name = f"t{round_}"
            with self.load() as load:
                began = time.monotonic()
                joined = self.start_shard(name)
                self.wait_for(**{shard: "serving" for shard in [*shards, name]})
                served = time.monotonic()
                seen = load.asked
                wait_until(lambda: load.asked > seen + len(self.expected), what="the new shard is asked")
                leaving = shards.pop(0)
                self.cluster.run("drain", leaving, "--wait")
                drained = time.monotonic()
                shards.append(name)
                self.assertEqual(self.states(), {shard: "serving" for shard in shards})
                if leaving in self.by_hand:
                    process = self.by_hand.pop(leaving)
                    self.assertEqual(process.wait(20), 0)
                    self.assertEqual(json.loads(process.stdout.read()), {"drained": leaving})
                else:
                    wait_until(lambda: leaving not in [p["name"] for p in self.cluster.processes()], what=f"{leaving} ends")
                ended = time.monotonic()
                seen = load.asked
                wait_until(lambda: load.asked > seen + len(self.expected), what="answers without it")
            print(f"round {round_}: served {served - began:.2f} s after its start, drained in {drained - served:.2f} s, ended {ended - drained:.2f} s later")
            self.assertIn(name, load.shards)
            self.assert_right(load)
            self.assertIsNone(joined.poll())
        said = "\n".join(self.cluster.said)
        self.assertIn("s0 was drained and has ended", said)
        self.assertNotIn("s0 was started again", said)

    def test_a_dead_shards_keys_move_and_it_comes_back(self):
        process = self.start_shard("t0")
        self.wait_for(s0="serving", s1="serving", t0="serving")
        with self.load() as load:
            process.kill()
            process.wait()
            wait_until(lambda: self.states().get("t0") in ("gone", None), what="its lease ends")
            self.wait_for(s0="serving", s1="serving")
            seen = load.asked
            wait_until(lambda: load.asked > seen + len(self.expected), what="answers of those that took over")
            self.start_shard("t0")
            self.wait_for(s0="serving", s1="serving", t0="serving")
            seen = load.shards["t0"]
            wait_until(lambda: load.shards["t0"] > seen, what="it answers again")
        self.assert_right(load)

    def test_a_stopped_shard_joins_anew_when_it_goes_on(self):
        process = self.start_shard("t0")
        self.wait_for(s0="serving", s1="serving", t0="serving")
        os.kill(process.pid, signal.SIGSTOP)
        self.wait_for(s0="serving", s1="serving")
        os.kill(process.pid, signal.SIGCONT)
        self.wait_for(s0="serving", s1="serving", t0="serving")

    def test_nobody_is_gone_because_the_registry_was_away(self):
        number = self.view()["number"]
        registry = self.pid("registry")
        with self.load() as load:
            os.kill(registry, signal.SIGSTOP)
            until = time.monotonic() + 3 * LEASE_MS / 1000
            wait_until(lambda: time.monotonic() > until, what="three leases")
            os.kill(registry, signal.SIGCONT)
            until = time.monotonic() + LEASE_MS / 1000
            while time.monotonic() < until:
                self.assertEqual(self.view()["number"], number)
            os.kill(registry, signal.SIGKILL)
            wait_until(lambda: self.pid("registry") != registry, what="the registry is started again")
            until = time.monotonic() + 2 * LEASE_MS / 1000
            while time.monotonic() < until:
                self.assertEqual(self.view()["number"], number)
        self.assert_right(load)

    def test_the_last_shard_is_not_drained(self):
        self.cluster.run("drain", "s0", "--wait")
        with self.assertRaises(Failed) as refused:
            self.cluster.run("drain", "s1")
        self.assertIn("last one that serves", refused.exception.errors)
        with self.assertRaises(Failed) as refused:
            self.cluster.run("drain", "nobody")
        self.assertIn("not_found", refused.exception.errors)

    def test_a_tenant_gets_more_shards_without_a_cold_answer(self):
        self.cluster.json("tenant", "set", "acme", "--spread", 1, "--in-flight", 500)
        wait_until(lambda: self.cluster.json("tenant", "show", "acme")["in_force"], what="one shard")
        shown = self.cluster.json("tenant", "show", "acme")
        self.assertEqual((shown["spread"], len(shown["shards"]), shown["requests_in_flight"]), (1, 1, 500))
        with self.load() as load:
            self.cluster.json("tenant", "set", "acme", "--spread", 0)
            wait_until(lambda: self.cluster.json("tenant", "show", "acme")["in_force"], what="both shards")
            seen = load.asked
            wait_until(lambda: load.asked > seen + len(self.expected), what="answers")
        self.assertEqual(len(self.cluster.json("tenant", "show", "acme")["shards"]), 2)
        self.assert_right(load)


if __name__ == "__main__":
    unittest.main()
