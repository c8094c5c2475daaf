"""The real data sets through a running cluster: who answers each row, and how well."""

import collections
import csv
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import NO_DATA, ROOT, Cluster, data_folder  # noqa: E402

DATA = data_folder()
LEVELS = ["country", "state", "town"]


def partition_of(row):
    """The partition that a row of the file asks for: its level values without empty ones at the end."""
    values = [row[level] for level in LEVELS]
    while values and not values[-1]:
        values.pop()
    return tuple(values)


def expected_answer(asked, nodes):
    """(served partition, level, reason), worked out from the rule alone: the deepest node on the path that has a version."""
    for depth in range(len(asked), -1, -1):
        node = asked[:depth]
        if node and not node[-1]:
            continue  # an empty value is passed over
        if node in nodes:
            return node, LEVELS[depth - 1] if depth else "global", "exact" if node == asked else "no_version"
    raise AssertionError("the root has no version")


def percent_decode(text):
    """A partition's text form as its values."""
    if not text:
        return ()
    values = []
    for value in text.split("/"):
        raw, at = bytearray(), 0
        encoded = value.encode()
        while at < len(encoded):
            if encoded[at : at + 1] == b"%":
                raw.append(int(encoded[at + 1 : at + 3], 16))
                at += 3
            else:
                raw.append(encoded[at])
                at += 1
        values.append(raw.decode())
    return tuple(values)


def timed(action):
    """What `action` returns, and how many seconds it took."""
    start = time.monotonic()
    result = action()
    return result, time.monotonic() - start


@unittest.skipUnless(DATA, NO_DATA)
class OpenPowerlifting(unittest.TestCase):
    """One tree of three levels; its towns are uneven and a quarter of its rows names no state."""

    @classmethod
    def setUpClass(cls):
        cls.file = DATA / "openpowerlifting" / "openpowerlifting.csv"
        cls.spec = ROOT / "examples" / "openpowerlifting.toml"
        cls.cluster = Cluster(shards=2).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.cluster.train(cls.spec, cls.file, where="split = train")

    def test_provenance_of_every_test_row_follows_the_rule(self):
        versions = self.cluster.json("versions", "acme/total")
        nodes = {tuple(version["partition"]): version["version"] for version in versions}
        self.assertIn((), nodes)
        out = self.cluster.folder / "answers.csv"
        self.cluster.run("batch", "acme/total", "--in", self.file, "--where", "split = test", "--out", out)
        rows = 0
        levels = collections.Counter()
        with open(out, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                asked = partition_of(row)
                served, level, reason = expected_answer(asked, nodes)
                place = f"row {row['row_id']}"
                self.assertEqual(row["status"], "ok", place)
                self.assertEqual(percent_decode(row["asked"]), asked, place)
                self.assertEqual(percent_decode(row["served"]), served, place)
                self.assertEqual((row["level"], row["reason"]), (level, reason), place)
                self.assertEqual(row["version"], nodes[served], place)
                self.assertEqual(row["tag"], "production", place)
                rows += 1
                levels[level] += 1
        self.assertGreater(rows, 24_000)
        self.assertEqual(set(levels), {"global", *LEVELS})

    def test_quality_with_fallback(self):
        result = self.cluster.json("evaluate", "acme/total", "--data", self.file, "--where", "split = test")
        self.assertGreater(result["rows"], 24_000)
        print(f"openpowerlifting, fallback from 50 rows on: RMSE {result['metrics']['rmse']:.2f} kg over {result['rows']} rows")
        self.assertLessEqual(result["metrics"]["rmse"], 86.5)
        self.assertEqual(sum(level["rows"] for level in result["by_level"].values()), result["rows"])
        self.assertEqual(sum(result["by_reason"].values()), result["rows"])
        self.assertLessEqual(set(result["by_reason"]), {"exact", "no_version"})

    def test_quality_of_the_global_model_alone(self):
        spec = self.cluster.folder / "global.toml"
        text = self.spec.read_text()
        self.assertIn("min_rows = 50", text)
        spec.write_text(text.replace("min_rows = 50", "min_rows = 1000000000"))
        self.cluster.train(spec, self.file, tenant="global", where="split = train")
        self.assertEqual(len(self.cluster.json("versions", "global/total")), 1)
        result = self.cluster.json("evaluate", "global/total", "--data", self.file, "--where", "split = test")
        self.assertEqual(set(result["by_level"]), {"global"})
        print(f"openpowerlifting, the global model alone: RMSE {result['metrics']['rmse']:.2f} kg")
        self.assertLessEqual(result["metrics"]["rmse"], 98.0)

    def test_the_whole_tree_is_trained_and_served_in_time(self):
        spec = self.cluster.folder / "whole.toml"
        spec.write_text(self.spec.read_text().replace("min_rows = 50", "min_rows = 1"))
        _, seconds = timed(lambda: self.cluster.train(spec, self.file, tenant="whole", where="split = train"))
        nodes = len(self.cluster.json("versions", "whole/total"))
        print(f"openpowerlifting, {nodes} nodes: file to served in {seconds:.2f} s")
        self.assertGreater(nodes, 4_000)
        self.assertLessEqual(seconds, 5)


@unittest.skipUnless(DATA, NO_DATA)
class Clinc150(unittest.TestCase):
    """Texts: one model of 150 intents, and ten tenants of 15."""

    @classmethod
    def setUpClass(cls):
        cls.file = DATA / "clinc150" / "clinc150.tsv"
        cls.spec = ROOT / "examples" / "clinc150.toml"
        cls.cluster = Cluster(shards=2).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)

    def test_one_model(self):
        _, seconds = timed(lambda: self.cluster.train(self.spec, self.file, where="split = train and intent != oos"))
        result = self.cluster.json("evaluate", "acme/intent", "--data", self.file, "--where", "split = test and intent != oos")
        self.assertEqual(result["rows"], 4500)
        (version,) = self.cluster.json("versions", "acme/intent")
        print(f"clinc150: accuracy {result['metrics']['accuracy']:.4f}, {version['artefact_bytes']} bytes, file to served in {seconds:.1f} s")
        self.assertGreaterEqual(result["metrics"]["accuracy"], 0.920)
        self.assertLessEqual(seconds, 10)
        self.assertLessEqual(version["artefact_bytes"], 2_000_000)

    def test_ten_tenants(self):
        self.cluster.train(self.spec, self.file, tenant=None, where="split = train and intent != oos", tenant_column="domain")
        with open(self.file, encoding="utf-8") as file:
            domains = sorted({row["domain"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)} - {"oos"})
        self.assertEqual(len(domains), 10)
        accuracies = []
        for domain in domains:
            result = self.cluster.json("evaluate", f"{domain}/intent", "--data", self.file, "--where",
                                       f"split = test and domain = '{domain}'")
            accuracies.append(result["metrics"]["accuracy"])
        print(f"clinc150, ten tenants: mean accuracy {sum(accuracies) / len(accuracies):.4f}")
        self.assertGreaterEqual(sum(accuracies) / len(accuracies), 0.940)
        together = self.cluster.json("evaluate", "intent", "--data", self.file, "--where", "split = test and domain != oos",
                                     "--tenant-column", "domain")
        self.assertEqual(together["rows"], 4500)
        self.assertAlmostEqual(together["metrics"]["accuracy"], sum(accuracies) / len(accuracies), places=9)


if __name__ == "__main__":
    unittest.main()
