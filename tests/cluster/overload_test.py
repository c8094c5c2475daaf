"""Three times the capacity, offered open loop: memory stays flat, as much is answered as before, the rest is `overloaded` in time, and
two seconds later everything is as it was.

The capacity is measured in the same run. The cluster has one core, the generator another, where there are two. Large requests keep the
shards busy; small ones the router, which shares its core with others here, so that one generator can offer more than it can pass on.
$ESPALIER_OVERLOAD_SECONDS says how long it lasts (default 5).
"""

import os
import pathlib
import re
import statistics
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from checked_load import Load, pinned, record, run_load, train_rides  # noqa: E402
from espalier_cluster import Cluster  # noqa: E402

SECONDS = float(os.environ.get("ESPALIER_OVERLOAD_SECONDS", "5"))
ROWS = 5000  # of a few bytes, so that computing costs much more than moving: the shards are what there is too little of
HOGS = 12  # processes on the cluster's core
BUDGET_US = 1_000_000
NORMAL_WITHIN = 2  # seconds


def resident_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024


class Overload(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=2, prefix=pinned("0")).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        train_rides(cls.cluster)

    def load(self, rate, seconds, then=()):
        return Load(self.cluster, self.recording, rate, seconds, core="1", then=then)

    def watch_memory(self, load):
        """MiB of each process, several times a second while the load runs."""
        processes = {p["name"]: p["pid"] for p in self.cluster.processes() if p["role"] in ("router", "shard")}
        series, pause = {name: [] for name in processes}, threading.Event()
        while load.process.poll() is None:
            for name, pid in processes.items():
                series[name].append(resident_mib(pid))
            pause.wait(0.1)
        return series

    def test_more_than_the_shards_can_compute(self):
        self.recording = record(self.cluster, "large", rows=ROWS, budget_us=BUDGET_US, count=60, only=())
        self.offer_three_times_the_capacity(ROWS, "w64")

    def test_more_than_the_router_can_pass_on(self):
        self.recording = record(self.cluster, "small", budget_us=BUDGET_US, count=60, only=())
        for _ in range(HOGS):
            hog = subprocess.Popen([*pinned("0"), sys.executable, "-c", "while True: pass"])
            self.addCleanup(hog.wait)
            self.addCleanup(hog.kill)
        self.offer_three_times_the_capacity(1, "w1024")

    def offer_three_times_the_capacity(self, rows, window):
        self.load(window, 1).result()
        capacity = statistics.median(self.load(window, 1).result()["rps"] for _ in range(3))
        before = self.load(capacity / 2, 2).result()
        self.assertEqual(before["codes"], {"ok": before["sent"]}, before["first_failure"])

        # The flood, and what comes after it without a pause. A generator that itself had no core for a while says nothing.
        for _ in range(3):
            load = self.load(3 * capacity, SECONDS, then=[(capacity / 2, NORMAL_WITHIN + 2)])
            series = self.watch_memory(load)
            result = load.result()
            if result["held_up_ms"] <= 100:
                break
        steps = [dict(zip(("answered", "refused", "failed", "longest_us"), step)) for step in result["timeline"]]
        flood, after = steps[:round(10 * SECONDS)], steps[round(10 * (SECONDS + NORMAL_WITHIN)):round(10 * (SECONDS + NORMAL_WITHIN + 2))]
        answered, refused = (sum(step[kind] for step in flood) for kind in ("answered", "refused"))

        print(f"capacity {capacity:,.0f}/s of {rows} rows; offered {(answered + refused) / SECONDS:,.0f}/s for {SECONDS:g} s: "
              f"{answered / SECONDS:,.0f}/s answered ({answered / SECONDS / capacity:.2f}), {result['codes']} with what followed")
        print(f"answered: p50 {result['answered']['p50_ms']:.0f}, p99 {result['answered']['p99_ms']:.0f} ms; refused: "
              f"p50 {result['refused']['p50_ms']:.1f}, p99 {result['refused']['p99_ms']:.1f}, longest {result['refused']['max_ms']:.0f} ms; "
              f"generator held up {result['held_up_ms']:.0f} ms")
        self.assertEqual(set(result["codes"]), {"ok", "overloaded"}, result["first_failure"])
        self.assertEqual((result["late"], result["unanswered"]), (0, 0))
        self.assertGreaterEqual((answered + refused) / SECONDS, 2.8 * capacity, "so much was offered")
        self.assertGreaterEqual(answered / SECONDS, 0.8 * capacity)
        for name, mib in series.items():
            settled = mib[len(mib) // 4:]
            print(f"{name}: {mib[0]:.0f} MiB at first, {settled[0]:.0f} after a quarter, {max(settled):.0f} at most")
            self.assertLessEqual(max(settled), 1.1 * settled[0] + 8, name)

        usual, now = (statistics.median(step["longest_us"] / 1000 for step in those)
                      for those in ([{"longest_us": step[3]} for step in before["timeline"][:20]], after))
        again = next(i for i, step in reversed(list(enumerate(steps))) if step["refused"] > 0) + 1
        print(f"longest latency in a tenth of a second, median: {usual:.2f} ms before, {now:.2f} ms from {NORMAL_WITHIN} s after the flood; "
              f"nothing was refused from {again / 10 - SECONDS:.1f} s after it")
        self.assertEqual([step for step in after if step["refused"] or step["failed"]], [])
        self.assertLessEqual(now, 2 * usual + 5)


if __name__ == "__main__":
    unittest.main()
