"""Search on a running cluster: the command, the Python client, pages while releases are made, and what is refused."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import ROOT, Cluster, Failed  # noqa: E402

sys.path.insert(0, str(ROOT / "client" / "python"))
from espalier import Code, EspalierError, Registry  # noqa: E402


class Search(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=1).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.rides = cls.cluster.folder / "rides.csv"
        cls.cluster.run("sample-data", cls.rides, "--rows", 4000)
        cls.train()
        cls.epoch = cls.cluster.json("search", "releases", "", "--order", "epoch desc", "--limit", 1)[0]["epoch"]
        cls.versions = cls.cluster.json("versions", "acme/duration")

    @classmethod
    def train(cls):
        cls.cluster.train(ROOT / "examples" / "rides.toml", cls.rides)

    def registry(self):
        registry = Registry(self.cluster.registry())
        self.addCleanup(registry.close)
        return registry

    def test_the_command_finds_what_the_list_has(self):
        found = self.cluster.json("search", "versions", "metrics.rmse < 3 and not partition = ''", "--tenant", "acme", "--order",
                                  "metrics.rmse desc", "--as-of", self.epoch)
        wanted = sorted((v["metrics"]["rmse"] for v in self.versions if v["metrics"]["rmse"] < 3 and v["partition"]), reverse=True)
        self.assertGreater(len(wanted), 5)
        self.assertEqual([v["metrics"]["rmse"] for v in found], wanted)
        table = self.cluster.run("search", "nodes", "partition under 'france'", "--model", "acme/duration")
        self.assertIn("france/paris", table)
        self.assertNotIn("germany", table)
        self.assertIn("there may be more", self.cluster.run("search", "versions", "--limit", 2))
        self.assertIn("no versions found", self.cluster.run("search", "versions", "rows < 0"))
        self.assertEqual(self.cluster.json("search", "versions", "rows < 0"), [])
        self.assertEqual(self.cluster.json("search", "versions", "--as-of", "2020-01-01"), [])
        self.assertEqual([m["model"] for m in self.cluster.json("search", "models", "task = 'regression'")], ["duration"])

    def test_pages_are_one_state_while_releases_are_made(self):
        for order in ("", "created desc", "metrics.rmse", "rows desc"):
            with self.subTest(order=order):
                registry = self.registry()
                before = {v["version"] for v in registry.search("versions")}
                seen = []
                for number, version in enumerate(registry.search("versions", order=order, page=7)):
                    seen.append(version["version"])
                    if number == 10:
                        self.train()
                self.assertEqual(len(seen), len(set(seen)))
                self.assertEqual(set(seen), before)
                self.assertGreater(len(list(registry.search("versions"))), len(before))

    def test_says_where_a_filter_is_wrong(self):
        with self.assertRaises(Failed) as raised:
            self.cluster.run("search", "versions", "rows > 5 and metric.rmse < 3")
        self.assertEqual(raised.exception.code, 1)
        self.assertIn("did you mean 'metrics.rmse'?\n  rows > 5 and metric.rmse < 3\n               ^", raised.exception.errors)
        for words in (["versions", "rows >"], ["version"], ["versions", "--order", "rows up"], ["versions", "--as-of", "noon"],
                      ["versions", "--as-of", "999999"], ["versions", "--tenant", "nobody"], ["versions", "--model", "duration"],
                      ["versions", "created > 5"]):
            with self.subTest(words=words), self.assertRaises(Failed):
                self.cluster.run("search", *words)

    def test_refuses_foreign_cursors(self):
        registry = self.registry()
        first = registry.call("search", {"kind": "versions", "limit": 2})
        for changes in ({"where": "rows > 0"}, {"cursor": b"x" * 40}, {"kind": "releases"}):
            with self.subTest(changes=changes), self.assertRaises(EspalierError) as raised:
                registry.call("search", {"kind": "versions", "cursor": first["cursor"], **changes})
            self.assertEqual(raised.exception.code, Code.INVALID_ARGUMENT)
        again = registry.call("search", {"kind": "versions", "limit": 2, "cursor": first["cursor"]})
        self.assertEqual(len(again["rows"]), 2)


if __name__ == "__main__":
    unittest.main()
