"""A model that gets a level more: routers and shards go on agreeing on who holds what, under every tag."""

import pathlib
import sys
import unittest

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import ROOT, Cluster, Wire, predict_header, wait_until  # noqa: E402

SPEC = ROOT / "examples" / "rides.toml"
BODY = msgpack.packb({"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "standard", "weather": "dry"}]})


class Levels(unittest.TestCase):
    def reasons(self, partitions, tag):
        """How often which (levels served, reason) came, each partition asked several times."""
        found = set()
        with Wire(self.cluster.router()) as wire:
            for partition in partitions:
                for _ in range(4):
                    header = predict_header("acme", "duration", [partition], refs=[f"tag:{tag}"])
                    reply, _ = wire.ask(header, BODY)
                    self.assertEqual(reply["status"], 0, reply)
                    provenance = reply["parts"][0]["provenance"]
                    found.add((len(provenance["served"]), provenance.get("reason", 0)))
        return found

    def test_every_node_answers_for_itself_before_and_after(self):
        with Cluster(shards=4) as self.cluster:
            rides = self.cluster.folder / "rides.csv"
            self.cluster.run("sample-data", rides, "--rows", 20000)
            self.cluster.train(SPEC, rides)
            cities = [version["partition"] for version in self.cluster.json("versions", "acme/duration") if len(version["partition"]) == 2]
            self.assertGreater(len(cities), 20)
            self.assertEqual(self.reasons(cities, "production"), {(2, 0)})

            wide = self.cluster.folder / "wide.toml"
            wide.write_text(SPEC.read_text().replace('["country", "city"]', '["country", "city", "vehicle"]'))
            self.cluster.train(wide, rides, tag="wide")
            below = [version["partition"] for version in self.cluster.json("versions", "acme/duration") if len(version["partition"]) == 3]
            self.assertGreater(len(below), 20)
            # The router learns of a release from the same feed as the shards, but nobody waits for it.
            wait_until(lambda: self.reasons(below[:5], "wide") == {(3, 0)}, what="the router knows the new level")
            self.assertEqual(self.reasons(below, "wide"), {(3, 0)})
            self.assertEqual(self.reasons(cities, "production"), {(2, 0)})


if __name__ == "__main__":
    unittest.main()
