"""Three times the capacity, offered open loop: memory stays flat, as much is answered as before, the rest is `overloaded` in time, and
two seconds later everything is as it was.

The capacity is measured in the same run. The cluster has one core, the generator another, where there are two.
$ESPALIER_OVERLOAD_SECONDS says how long it lasts (default 5).
"""

import os
import pathlib
import re
import statistics
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from checked_load import Load, pinned, record, run_load, train_rides  # noqa: E402
from espalier_cluster import Cluster  # noqa: E402

SECONDS = float(os.environ.get("ESPALIER_OVERLOAD_SECONDS", "5"))
ROWS = 5000  # of a few bytes, so that computing costs much more than moving: the shards are what there is too little of
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
        cls.recording = record(cls.cluster, "recording", rows=ROWS, budget_us=BUDGET_US, count=60, only=())

    def load(self, rate, seconds):
        return Load(self.cluster, self.recording, rate, seconds, core="1")

    def watch_memory(self, load):
        """MiB of each process, several times a second while the load runs."""
        processes = {p["name"]: p["pid"] for p in self.cluster.processes() if p["role"] in ("router", "shard")}
        series, pause = {name: [] for name in processes}, threading.Event()
        while load.process.poll() is None:
            for name, pid in processes.items():
                series[name].append(resident_mib(pid))
            pause.wait(0.1)
        return series

    def test_three_times_the_capacity(self):
        self.load("w64", 1).result()
        capacity = statistics.median(self.load("w64", 1).result()["rps"] for _ in range(3))
        before = self.load(capacity / 2, 2).result()
        self.assertEqual(before["codes"], {"ok": before["sent"]}, before["first_failure"])

        load = self.load(3 * capacity, SECONDS)
        series = self.watch_memory(load)
        during = load.result()
        after = self.load(capacity / 2, NORMAL_WITHIN + 2).result()

        goodput = during["codes"]["ok"] / SECONDS
        print(f"capacity {capacity:,.0f}/s of {ROWS} rows; offered {during['sent'] / SECONDS:,.0f}/s for {SECONDS:g} s: "
              f"{goodput:,.0f}/s answered ({goodput / capacity:.2f}), {during['codes']}")
        print(f"answered: p50 {during['answered']['p50_ms']:.0f}, p99 {during['answered']['p99_ms']:.0f} ms; refused: "
              f"p50 {during['refused']['p50_ms']:.1f}, p99 {during['refused']['p99_ms']:.1f}, longest {during['refused']['max_ms']:.0f} ms; "
              f"generator held up {during['held_up_ms']:.0f} ms")
        self.assertEqual(set(during["codes"]), {"ok", "overloaded"}, during["first_failure"])
        self.assertEqual((during["late"], during["unanswered"]), (0, 0))
        self.assertGreaterEqual(goodput, 0.8 * capacity)
        for name, mib in series.items():
            settled = mib[len(mib) // 4:]
            print(f"{name}: {mib[0]:.0f} MiB at first, {settled[0]:.0f} after a quarter, {max(settled):.0f} at most")
            self.assertLessEqual(max(settled), 1.1 * settled[0] + 8, name)

        steps = after["timeline"][10 * NORMAL_WITHIN:10 * (NORMAL_WITHIN + 2)]
        usual = statistics.median(step[3] for step in before["timeline"][:20])
        now = statistics.median(step[3] for step in steps)
        print(f"longest latency in a tenth of a second, median: {usual:g} ms before, {now:g} ms from {NORMAL_WITHIN} s after")
        self.assertEqual([step[1:3] for step in steps if step[1] or step[2]], [])
        self.assertLessEqual(now, 2 * usual + 5)


if __name__ == "__main__":
    unittest.main()
