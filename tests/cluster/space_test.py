"""Space on a running cluster: rules, a dry run, a collection while predictions are answered, what is refused after it, and an erasure."""

import os
import pathlib
import signal
import sys
import threading
import unittest

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import NOT_FOUND, ROOT, Cluster, Failed, Wire, predict_header, wait_until  # noqa: E402

RELEASES = 24
BODY = msgpack.packb({"rows": [{"distance_km": 3.0, "hour": 9, "vehicle": "bike", "weather": "dry"}]})


def disk_bytes(folder):
    """What du says: space that the files take, not their length."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def content_of(file):
    """Nothing, where it has gone meanwhile: a state is written beside the one before and takes its name."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


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

    def files_with(self, *needles):
        """Files of registry and shards, whatever they are for, that have one of these bytes."""
        files = [file for folder in ("registry", "shards") for file in (self.cluster.dir / folder).rglob("*") if file.is_file()]
        return [file for file in files if any(needle in content_of(file) for needle in needles)]

    def has(self, process, *needles):
        return any(process["name"] in file.parts for file in self.files_with(*needles))

    def erase(self, tenant, *words):
        return self.cluster.json("erase", tenant, *words)

    def test_an_erased_tenant_is_gone_from_registry_and_shards(self):
        self.train(1, tenant="xyzzyshop", property="owner=xyzzyowner")
        self.train(2, tenant="globex")
        artefacts = [bytes.fromhex(version["artefact"]) for version in self.cluster.json("versions", "xyzzyshop/duration")]
        shards = self.cluster.processes("shard")
        self.assertTrue(self.files_with(b"xyzzyowner"))
        for shard in shards:
            self.assertTrue(self.has(shard, *artefacts), shard["name"])
        plan = self.erase("xyzzyshop", "--dry-run")
        self.assertEqual(plan["version_count"], len(artefacts))
        self.assertIn("nothing was changed", self.cluster.run("erase", "xyzzyshop", "--dry-run"))
        os.kill(shards[0]["pid"], signal.SIGSTOP)
        self.addCleanup(os.kill, shards[0]["pid"], signal.SIGCONT)
        receipt = self.erase("xyzzyshop", "--yes", "--wait-seconds", 1)
        self.assertEqual(receipt["missing"], [shards[0]["name"]])
        for key in ("version_count", "artefact_count", "artefact_bytes", "records", "disk_before"):
            self.assertEqual(receipt[key], plan[key], key)
        self.assertIn("has not acknowledged", self.refused("erase", "xyzzyshop", "--verify", receipt["receipt"]).output)
        os.kill(shards[0]["pid"], signal.SIGCONT)
        self.assertEqual(self.erase("xyzzyshop", "--receipt", receipt["receipt"])["missing"], [])
        self.assertTrue(self.erase("xyzzyshop", "--verify", receipt["receipt"])["clean"])
        self.assertEqual({bytes.fromhex(a["artefact"]) for a in receipt["artefacts"]}, set(artefacts))
        self.expect_gone(b"xyzzyowner", b"xyzzyshop", artefacts)
        self.expect_unknown("xyzzyshop")
        with self.assertRaises(Failed) as raised:
            self.train(3, tenant="xyzzyshop")
        self.assertIn("was erased", raised.exception.errors + raised.exception.output)

    def expect_gone(self, marker, tenant, artefacts):
        self.assertEqual(self.files_with(marker), [])
        store = self.cluster.dir / "registry" / "store"
        self.assertEqual([file for file in self.files_with(tenant) if file.parent != store], [])
        self.assertEqual([file for file in self.files_with(*artefacts) if file.parent != store], [], "but the receipt")

    def expect_unknown(self, tenant):
        with Wire(self.cluster.router()) as wire:
            reply, _ = wire.ask(predict_header(tenant, "duration", [["france", "paris"]]), BODY)
            self.assertEqual(reply["status"], NOT_FOUND, reply)
        for words in (["versions"], ["release", "list"], ["retention", "show"]):
            with self.subTest(words=words):
                erased, never = (self.refused(*words, f"{name}/duration").errors for name in (tenant, "nobody"))
                self.assertEqual(erased.replace(tenant, "nobody"), never)

    def test_a_shard_that_was_killed_erases_when_it_is_back(self):
        self.train(1, tenant="xyzzyshop")
        self.train(2, tenant="globex")
        kept = [bytes.fromhex(version["artefact"]) for version in self.cluster.json("versions", "globex/duration")]
        shard = next(one for one in self.cluster.processes("shard") if self.has(one, *kept))
        with Asking(self.cluster.router(), "globex") as asking:
            os.kill(shard["pid"], signal.SIGKILL)
            receipt = self.erase("xyzzyshop", "--yes")
            asking.some_more()
        self.assertEqual(asking.failed, [])
        self.assertEqual(receipt["missing"], [])
        self.assertTrue(self.erase("xyzzyshop", "--verify", receipt["receipt"])["clean"])
        self.assertFalse(self.has(shard, b"xyzzyshop"))
        self.assertTrue(self.has(shard, *kept))

    def test_says_what_is_wrong_with_an_erasure(self):
        for words, what in ((["acme"], "--yes"), (["acme", "--yes", "--dry-run"], "excludes"), (["nobody", "--yes"], "not_found"),
                            (["nobody", "--dry-run"], "not_found"), (["no/name", "--yes"], "no/name"),
                            (["acme", "--verify", "x"], "--verify"), (["acme", "--verify", "0190a000-0000-7000-8000-000000000000"], "not_found"),
                            (["acme", "--receipt", "0190a000-0000-7000-8000-000000000000"], "not_found")):
            with self.subTest(words=words):
                self.assertIn(what, self.refused("erase", *words).errors)

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

    def __init__(self, router, tenant="acme"):
        self._router, self._tenant, self._stop = router, tenant, threading.Event()
        self.answered, self.failed = 0, []
        self._thread = threading.Thread(target=self._ask)

    def _ask(self):
        with Wire(self._router) as wire:
            while not self._stop.is_set():
                header = predict_header(self._tenant, "duration", [["france", "paris"], ["germany", "berlin"]], budget_us=5_000_000)
                reply, _ = wire.ask(header, BODY, BODY)
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
