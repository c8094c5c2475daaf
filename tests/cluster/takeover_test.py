"""Processes killed and stopped under constant load: no failed request, none answered after its deadline, none that waits for long, and
each answer says of itself what it should.

Two replicas, two routers, half of the measured capacity, but at most $ESPALIER_FAILURE_RATE (default 1,500, so that it can run beside
other tests). $ESPALIER_FAILURE_ROUNDS says how often each harm is done (default 1), $ESPALIER_STOPPED_SECONDS how long a shard stands
still (default 2). Delays count from the sending, and the sendings wait for nothing. The whole of it, on a machine that does nothing else:

  ESPALIER_FAILURE_RATE=1000000 ESPALIER_FAILURE_ROUNDS=10 ESPALIER_STOPPED_SECONDS=10 tests/cluster/takeover_test.py
"""

import os
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from checked_load import Load, record, run_load, train_rides  # noqa: E402
from espalier_cluster import Cluster, Failed, Wire, predict_header, wait_until  # noqa: E402

ROUNDS = int(os.environ.get("ESPALIER_FAILURE_ROUNDS", "1"))
STOPPED_SECONDS = float(os.environ.get("ESPALIER_STOPPED_SECONDS", "2"))
MOST_RATE = float(os.environ.get("ESPALIER_FAILURE_RATE", "1500"))
MOST_ADDED_MS = 300
# A router that stands still is given up after 160 ms, and what was sent meanwhile is sent again to the other one, which must have room
# to catch up: at half of the capacity both together take longer than MOST_ADDED_MS.
MOST_RATE_OF_A_SILENT_ROUTER = 1500
BEFORE, AFTER = 0.7, 1.5  # seconds of load before the harm and after it
CITIES = [["germany", "berlin"], ["france", "paris"], ["brazil", "rio"], ["india", "delhi"], ["italy", "rome"], ["poland", "lodz"],
          ["kenya", "nairobi"], ["chile", "santiago"], ["norway", "oslo"], ["portugal", "porto"]]  # each shard is the best place of some
ROW = {"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "bike", "weather": "dry"}]}


class Takeover(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=2, routers=2).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        train_rides(cls.cluster)
        cls.recording = record(cls.cluster, "recording")
        cls.released = cls.cluster.json("release", "list", "acme/duration")[0]["epoch"]
        capacity = run_load(cls.cluster, cls.recording, "w32", 1)["rps"]
        cls.rate = round(min(capacity / 2, MOST_RATE))
        print(f"capacity {capacity:,.0f} requests a second, load {cls.rate:,}")

    def process(self, role, place=0):
        return self.cluster.processes(role)[place]

    def answering_shards(self):
        """Those that all routers ask now."""
        names = set()
        for endpoint in (each for each in self.cluster.file()["router"] if each.startswith("ipc")):
            with Wire(endpoint) as wire:
                header = predict_header("acme", "duration", CITIES)
                reply, _ = wire.ask(header, *[ROW] * len(CITIES))
                if reply["status"] != 0 or any(part.get("status", 0) != 0 for part in reply["parts"]):
                    return set()
                names.add(frozenset(part["provenance"]["shard"] for part in reply["parts"]))
        return set.intersection(*map(set, names))

    def is_whole(self):
        """Every process is there again, and each answers."""
        try:
            for process in self.cluster.processes():
                os.kill(process["pid"], 0)
            self.cluster.run("release", "list", "acme/duration")
        except (ProcessLookupError, Failed):
            return False
        return len(self.answering_shards()) == 2

    def do_harm(self, what, harm, lasts=0.0, rate=None):
        """Runs `harm` in the middle of a load, each time from a whole cluster; prints and checks what became of the requests."""
        added, again = [], 0
        for _ in range(ROUNDS):
            wait_until(self.is_whole, seconds=60, what="everything runs and both shards answer")
            load = Load(self.cluster, self.recording, rate or self.rate, BEFORE + lasts + AFTER)
            since = time.monotonic()
            wait_until(lambda: time.monotonic() > since + BEFORE, what="the load goes on")
            harm()
            result = load.result()
            self.assertEqual(result["codes"], {"ok": result["sent"]}, (what, result["first_failure"], result["held_up_ms"]))
            self.assertEqual((result["late"], result["unanswered"]), (0, 0), what)
            self.check_provenance(result)
            added.append(round(result["answered"]["max_ms"] - result["answered"]["p50_ms"], 1))
            again += result["attempts_over_one"]
        print(f"{what}, {ROUNDS} times: longest added delays {sorted(added)} ms; {again} answers by another replica than the first asked")
        self.assertLessEqual(max(added), MOST_ADDED_MS, (what, added))
        return again

    def check_provenance(self, result):
        """What the recording can't know: epochs and shards are those of this cluster. The rest was compared answer by answer."""
        with Wire(self.cluster.registry()) as wire:
            view = wait_until(lambda: self.ask_registry(wire, "view"), what="the view")["view"]
            newest = self.ask_registry(wire, "hello")["epoch"]
        self.assertLessEqual(set(result["shards"]), {shard["name"] for shard in view["shards"]})
        oldest_known, newest_known = result["epochs"]
        self.assertLessEqual(newest_known, newest)
        self.assertGreaterEqual(oldest_known, self.released)

    @staticmethod
    def ask_registry(wire, operation):
        """Its reply; None where it has only begun."""
        reply, _ = wire.ask({"v": 1, "op": operation})
        return reply if reply["status"] == 0 else None

    def kill(self, role):
        victim = self.process(role)

        def harm():
            os.kill(victim_now()["pid"], signal.SIGKILL)

        def victim_now():
            return next(p for p in self.cluster.processes(role) if p["name"] == victim["name"])

        return harm

    def test_a_shard_is_killed(self):
        self.do_harm("kill -9 of a shard", self.kill("shard"))

    def test_a_router_is_killed(self):
        self.do_harm("kill -9 of a router", self.kill("router"))

    def test_the_registry_is_killed(self):
        self.do_harm("kill -9 of the registry", self.kill("registry"))

    def stop(self, role):
        def harm():
            pid = self.process(role)["pid"]
            os.kill(pid, signal.SIGSTOP)
            try:
                since = time.monotonic()
                wait_until(lambda: time.monotonic() > since + STOPPED_SECONDS, seconds=STOPPED_SECONDS + 30, what="it has stood long enough")
            finally:
                os.kill(pid, signal.SIGCONT)

        return harm

    def test_a_shard_stands_still(self):
        again = self.do_harm(f"SIGSTOP of a shard for {STOPPED_SECONDS:g} s", self.stop("shard"), lasts=STOPPED_SECONDS)
        self.assertGreater(again, 0, "it had been asked something")

    def test_a_router_stands_still(self):
        self.do_harm(f"SIGSTOP of a router for {STOPPED_SECONDS:g} s", self.stop("router"), lasts=STOPPED_SECONDS,
                     rate=min(self.rate, MOST_RATE_OF_A_SILENT_ROUTER))


if __name__ == "__main__":
    unittest.main()
