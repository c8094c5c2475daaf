"""Space on a running cluster: rules, a dry run, a collection while predictions are answered, and what is refused after it."""

import pathlib
import sys
import threading
import unittest

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import ROOT, Cluster, Failed, Wire, predict_header, wait_until  # noqa: E402

RELEASES = 24


def disk_bytes(folder):
    """What du says: space that the files take, not their length."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


class Space(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(shards=2).__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.rides = self.cluster.folder / "rides.csv"

    def train(self, seed, **options):
        self.cluster.run("sample-data", self.rides, "--rows", 20000, "--seed", seed)
        self.cluster.train(ROOT / "examples" / "rides.toml", self.rides, **options)

    def asking(self):
        """Predictions without end until the context is left; each has to be answered."""
        return Asking(self.cluster.router())

    def refused(self, *words):
        with self.assertRaises(Failed) as raised:
            self.cluster.run(*words)
        return raised.exception

    def test_the_files_shrink_while_every_prediction_is_answered(self):
        for seed in range(1, RELEASES + 1):
            self.train(seed)
        releases = self.cluster.json("release", "list", "acme/duration")
        artefacts = self.cluster.dir / "registry" / "artefacts"
        before = disk_bytes(artefacts)
        everything = self.cluster.json("collect", "acme", "--dry-run")
        self.assertEqual((everything["version_count"], everything["artefact_count"]), (0, 0), "there is no rule yet")

        self.cluster.run("retention", "set", "acme/duration", "--keep-last", 2)
        self.assertEqual(self.cluster.json("retention", "show", "acme/duration")[0]["keep_last"], 2)
        plan = self.cluster.json("collect", "acme/duration", "--dry-run")
        self.assertTrue(plan["dry_run"])
        self.assertGreater(plan["version_count"], 100)
        self.assertEqual(disk_bytes(artefacts), before)
        self.assertIn("nothing was changed", self.cluster.run("collect", "acme", "--dry-run"))
        with self.asking() as asking:
            receipt = self.cluster.json("collect", "acme")
            asking.some_more()
        self.assertEqual(asking.failed, [])
        for key in ("version_count", "artefact_count", "artefact_bytes", "versions", "artefacts"):
            self.assertEqual(receipt[key], plan[key], key)
        after = disk_bytes(artefacts)
        print(f"registry's packs: {before} bytes before, {after} after; {asking.answered} predictions meanwhile")
        self.assertLess(after, before / 2)
        self.assertEqual(self.cluster.json("collect", "acme", "--receipt", receipt["receipt"]), receipt)

        versions = self.cluster.json("versions", "acme/duration")
        collected = {version["version"] for version in versions if version["collected_us"]}
        self.assertEqual(collected, {version["version"] for version in receipt["versions"]})
        refused = self.refused("release", "move", "acme/duration", releases[-1]["release"])
        self.assertIn("was collected", refused.errors)
        self.cluster.run("release", "move", "acme/duration", releases[1]["release"], "--wait")
        self.assertEqual(self.cluster.json("collect", "acme")["version_count"], 0)

    def test_says_what_is_wrong(self):
        self.train(1)
        for words, what in ((["retention", "set", "acme/duration"], "--keep-last"),
                            (["retention", "set", "acme/duration", "--keep-all", "--keep-last", "1"], "excludes"),
                            (["retention", "set", "acme/duration", "--keep-last", "-1"], "keep-last"),
                            (["retention", "set", "acme/duration", "--keep-tagged", "no tag"], "name"),
                            (["retention", "set", "acme"], "TENANT/MODEL"), (["collect", "acme/duration@usa"], "partition"),
                            (["collect", "A Tenant"], "tenant"), (["collect", "acme", "--receipt", "x"], "receipt")):
            with self.subTest(words=words):
                error = self.refused(*words)
                self.assertEqual(error.code, 2)
                self.assertIn(what, error.errors + error.output)
        for words, what in ((["retention", "show", "acme/nothing"], "acme/nothing"), (["collect", "nobody"], "nobody"),
                            (["collect", "acme", "--receipt", "019a9d3c-4be0-7000-8000-000000000001"], "receipt"),
                            (["retention", "set", "acme/duration", "--keep-days", "999999"], "keep_days")):
            with self.subTest(words=words):
                error = self.refused(*words)
                self.assertEqual(error.code, 1)
                self.assertIn(what, error.errors)


class Asking:
    """Asks for predictions on a thread of its own."""

    def __init__(self, router):
        self._router, self._stop = router, threading.Event()
        self.answered, self.failed = 0, []
        self._thread = threading.Thread(target=self._ask)

    def _ask(self):
        body = msgpack.packb({"rows": [{"distance_km": 3.0, "hour": 9, "vehicle": "bike", "weather": "dry"}]})
        with Wire(self._router) as wire:
            while not self._stop.is_set():
                header = predict_header("acme", "duration", [["france", "paris"], ["germany", "berlin"]], budget_us=5_000_000)
                reply, _ = wire.ask(header, body, body)
                if reply["status"] != 0 or any(part.get("status", 0) != 0 for part in reply["parts"]):
                    self.failed.append(reply)
                self.answered += 1

    def some_more(self, count=100):
        """Returns when so many more have been answered."""
        enough = self.answered + count
        wait_until(lambda: self.answered >= enough or not self._thread.is_alive(), what="more predictions")

    def __enter__(self):
        self._thread.start()
        self.some_more()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


if __name__ == "__main__":
    unittest.main()
