"""What the records of versions say, from `train` to search; and what is refused before the training."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import ROOT, Cluster, Failed  # noqa: E402

sys.path.insert(0, str(ROOT / "client" / "python"))
from espalier import Registry  # noqa: E402


class Records(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=1).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.rides = cls.cluster.folder / "rides.csv"
        cls.cluster.run("sample-data", cls.rides, "--rows", 2000)

    def train(self, *more):
        return self.cluster.run("train", ROOT / "examples" / "rides.toml", "--data", self.rides, "--tenant", "acme", *more)

    def test_train_writes_them_and_search_finds_them(self):
        self.train("--property", "owner=eta", "--property", "cost centre=12", "--description", "with the new zones")
        self.train("--property", "owner=beta", "--wait")
        self.cluster.run("predict", "acme/duration@", "--row", "{}", "--row", '{"distance_km": 3}')
        of_eta = self.cluster.json("search", "versions", "properties.owner = 'eta'", "--tenant", "acme")
        everything = self.cluster.json("versions", "acme/duration")
        self.assertEqual(len(of_eta) * 2, len(everything))
        self.assertEqual(of_eta[0]["properties"], {"owner": "eta", "cost centre": "12"})
        self.assertEqual(of_eta[0]["description"], "with the new zones")
        lineage = of_eta[0]["lineage"]
        self.assertEqual(lineage["data"]["file"], "rides.csv")
        self.assertEqual(lineage["data"]["rows"], 2000)
        self.assertEqual(set(lineage["params"]["l2"]), {"global", "country", "city"})
        self.assertEqual(self.cluster.json("search", "versions", "\"properties.cost centre\" = '12' and params.l2.city >= 0"), of_eta)
        with Registry(self.cluster.registry()) as registry:
            found = list(registry.search("versions", "properties.owner = 'beta' and partition = ''"))
        self.assertEqual([v["properties"] for v in found], [{"owner": "beta"}])
        release = self.cluster.json("release", "show", "acme/duration")
        self.assertEqual(set(release["run"]["metrics_by_level"]), {"global", "country", "city"})

    def test_wrong_properties_are_refused_before_the_training(self):
        for words, says in (
            (["--property", "owner"], "property 'owner': KEY=VALUE is needed"),
            (["--property", "=eta"], "a key is empty"),
            (["--property", "a=1", "--property", "a=2"], "property 'a' comes twice"),
            (["--property", "a=" + "x" * 1025], "properties.a: 1025 bytes, at most 1024"),
            (["--description", "x" * 4097], "description: 4097 bytes, at most 4096"),
        ):
            with self.subTest(says=says), self.assertRaises(Failed) as refused:
                self.train(*words)
            self.assertIn(says, refused.exception.errors)


if __name__ == "__main__":
    unittest.main()
