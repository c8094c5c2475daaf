"""One tenant floods: the others' 99th percentile stays, whether it has a limit of its own or not.

Short runs in pairs, by turns, and the median of their ratios: a moment in which the machine stands still spoils one pair only.
$ESPALIER_FAIRNESS_PAIRS says how many; where they are not enough for the bound, as many again, twice, and all of them count.
Every answer is checked. The cluster has one core, the generators another, where there are two.
"""

import os
import pathlib
import statistics
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from checked_load import Load, pinned, record, train_rides  # noqa: E402
from espalier_cluster import Cluster, wait_until  # noqa: E402

PAIRS = int(os.environ.get("ESPALIER_FAIRNESS_PAIRS", "7"))
SECONDS = float(os.environ.get("ESPALIER_FAIRNESS_SECONDS", "0.8"))
SPENDING = 0.4  # seconds from a flood's begin to what is measured: it has spent what its limit saves up, a tenth of a second's
FLOOD_SECONDS = SPENDING + SECONDS + 0.3
RATE = 500  # a second, of the others
ROWS = 5000  # of a request in the flood: few are more than the shards can do
MOST = 1.5


class Fairness(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=2, prefix=pinned("0")).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        for tenant in ("acme", "flood", "unlimited"):
            train_rides(cls.cluster, tenant)
        cls.others = record(cls.cluster, "others", "acme")
        cls.flood = record(cls.cluster, "flood", "flood", count=60, rows=ROWS, only=())
        cls.unlimited = record(cls.cluster, "unlimited", "unlimited", count=60, rows=ROWS, only=())
        cls.capacity = Load(cls.cluster, cls.unlimited, "w64", 1, core="1").result()["rps"]
        cls.limit = round(cls.capacity / 8)  # ten times as much is more than there is

    def load(self, recording, rate, seconds=SECONDS):
        return Load(self.cluster, recording, rate, seconds, core="1")

    def others_beside(self, recording, rate):
        """What the others saw while this one sent, and what it saw."""
        beside = self.load(recording, rate, FLOOD_SECONDS)
        self.load(self.others, RATE, SPENDING).result()
        others = self.load(self.others, RATE).result()
        self.assertEqual(others["codes"], {"ok": others["sent"]}, (others["first_failure"], others["held_up_ms"]))
        return others["answered"]["p99_ms"], beside.result()

    def compare(self, what, recording, still, flood):
        """Pairs of runs, without and with the flood; the medians' ratio and what the flooding tenant saw."""
        self.others_beside(recording, still)
        without, with_, seen = [], [], []
        ratio = 0
        while not seen or (ratio > MOST and len(seen) < 3 * PAIRS):
            for _ in range(PAIRS):
                without.append(self.others_beside(recording, still)[0])
                p99, result = self.others_beside(recording, flood)
                with_.append(p99)
                seen.append(result)
            ratio = statistics.median(b / a for a, b in zip(without, with_))
        print(f"{what}: the others' p99, medians of {len(seen)}: {statistics.median(without):.2f} ms before, {statistics.median(with_):.2f} ms "
              f"in the flood; median of ratios {ratio:.2f}")
        return ratio, seen

    def test_ten_times_its_limit(self):
        self.cluster.run("tenant", "set", "flood", "--requests-per-second", self.limit)
        wait_until(lambda: self.cluster.json("tenant", "show", "flood")["in_force"], what="the limit is in force")
        ratio, seen = self.compare(f"a tenant limited to {self.limit}/s (capacity {self.capacity:,.0f}/s) at {10 * self.limit}/s", self.flood,
                                   self.limit * 0.9, 10 * self.limit)
        for result in seen:
            self.assertEqual(set(result["codes"]), {"ok", "overloaded"}, result["first_failure"])
            self.assertEqual((result["late"], result["unanswered"]), (0, 0))
            allowed = self.limit * FLOOD_SECONDS + self.limit / 10
            self.assertLessEqual(result["codes"]["ok"], 1.1 * allowed + 2)
            self.assertGreaterEqual(result["codes"]["ok"], 0.8 * self.limit * FLOOD_SECONDS)
        print(f"the limited tenant: {seen[-1]['codes']}, refused within {seen[-1]['refused']['p99_ms']:.1f} ms (p99)")
        self.assertLessEqual(ratio, MOST)

    def test_a_flood_without_a_limit_is_refused_and_nobody_else(self):
        p99s = []
        for _ in range(3):
            p99, result = self.others_beside(self.unlimited, 2 * self.capacity)
            p99s.append(p99)
            self.assertGreater(result["codes"].get("overloaded", 0), 0)
        print(f"twice the capacity ({self.capacity:,.0f}/s of {ROWS:,} rows) from a tenant without a limit: {result['codes']}; the others' p99 "
              f"{statistics.median(p99s):.0f} ms, none refused")
        self.assertLessEqual(statistics.median(p99s), 200)


if __name__ == "__main__":
    unittest.main()
