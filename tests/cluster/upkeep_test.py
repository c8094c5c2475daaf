"""Looking after a registry: check it while it answers and when it is stopped, mend it, back it up and restore it."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, ROOT, Cluster, Failed, Wire  # noqa: E402


def espalier(*words):
    """Runs a command without a cluster: exit code, stdout, stderr."""
    done = subprocess.run([str(BIN / "espalier"), *map(str, words)], capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def version_of(answers):
    return answers["provenance"]["version"]


class Upkeep(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(shards=1).__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.rides = self.cluster.folder / "rides.csv"
        self.cluster.run("sample-data", self.rides, "--rows", 4000)
        self.train()

    def train(self):
        self.cluster.train(ROOT / "examples" / "rides.toml", self.rides)

    def test_a_check_says_what_is_damaged(self):
        checked = self.cluster.json("registry", "check")
        self.assertTrue(checked["clean"])
        self.assertGreater(checked["records"], 50)
        self.assertGreater(checked["artefacts"], 5)
        registry = self.cluster.dir / "registry"
        code, _, errors = espalier("registry", "check", "--dir", registry)
        self.assertEqual(code, 1)
        self.assertIn("unavailable", errors)  # the cluster has it open

        self.cluster.stop()
        code, out, errors = espalier("registry", "check", "--dir", registry, "--json")
        self.assertEqual((code, errors), (0, ""))
        stopped = json.loads(out)
        self.assertEqual(stopped["generation"], checked["generation"])
        self.assertEqual(stopped["artefacts"], checked["artefacts"])

        segment = next((registry / "artefacts" / "acme").glob("*.pack"))
        segment.chmod(0o600)
        content = bytearray(segment.read_bytes())
        content[500] ^= 1
        segment.write_bytes(content)
        code, out, errors = espalier("registry", "check", "--dir", registry, "--json")
        self.assertEqual(code, 1)
        self.assertIn("1 finding", errors)
        findings = json.loads(out)["findings"]
        self.assertEqual([f["table"] for f in findings], ["pack"])
        self.assertIn("no longer has its hash", findings[0]["what"])
        self.cluster.start()
        with self.assertRaises(Failed) as raised:
            self.cluster.run("registry", "check")
        self.assertIn("no longer has its hash", raised.exception.output)

    def generation(self):
        with Wire(self.cluster.registry()) as wire:
            return wire.ask({"v": 1, "op": "hello"})[0]["generation"]

    def predict(self):
        return self.cluster.json("predict", "acme/duration@france/paris", "--row", json.dumps({"distance_km": 5}))

    def wait_for_snapshots(self):
        """Until all shards answer from the newest epoch of this registry."""
        with Wire(self.cluster.registry()) as wire:
            epoch = wire.ask({"v": 1, "op": "hello"})[0]["epoch"]
            reply, _ = wire.ask({"v": 1, "op": "wait", "epoch": epoch, "wait_us": 30_000_000}, seconds=40)
        self.assertTrue(reply["served"], reply)

    def test_every_reader_notices_a_repair(self):
        registry = self.cluster.dir / "registry"
        generation = self.generation()
        before = self.predict()
        self.cluster.stop()
        code, out, _ = espalier("registry", "repair", "--dir", registry, "--json")
        self.assertEqual(code, 0)
        self.assertFalse(json.loads(out)["changed"])
        code, out, _ = espalier("registry", "repair", "--dir", registry, "--leveldb", "--json")
        self.assertEqual(code, 0)
        repaired = json.loads(out)
        self.assertTrue(repaired["changed"])
        self.assertEqual(repaired["left"], [])
        self.cluster.start()
        self.assertNotEqual(self.generation(), generation)
        self.assertEqual(self.generation(), repaired["generation"])
        self.wait_for_snapshots()
        self.assertEqual(version_of(self.predict()), version_of(before))
        self.train()  # waits until it is served
        self.assertNotEqual(version_of(self.predict()), version_of(before))
        self.assertTrue(self.cluster.json("registry", "check")["clean"])

    def test_a_restored_backup_is_what_every_reader_answers_from(self):
        before = self.predict()
        file = self.cluster.folder / "backup.espalier"
        generation = self.generation()
        writer = threading.Thread(target=self.train)
        writer.start()
        written = self.cluster.json("registry", "backup", "--to", file)
        writer.join()
        self.assertEqual(written["generation"], generation)
        self.assertEqual(json.loads(espalier("registry", "restore", "--from", file, "--dry-run", "--json")[1])["records"],
                         written["records"])
        with self.assertRaises(Failed) as raised:
            self.cluster.run("registry", "backup", "--to", file)
        self.assertIn("already_exists", raised.exception.errors)
        second = self.cluster.json("registry", "backup", "--to", self.cluster.folder)
        self.assertTrue(pathlib.Path(second["file"]).is_file())
        self.train()
        later = self.predict()
        self.assertNotEqual(version_of(later), version_of(before))

        self.cluster.stop()
        registry = self.cluster.dir / "registry"
        self.assertIn("not empty", espalier("registry", "restore", "--from", file, "--dir", registry)[2])
        registry.rename(self.cluster.folder / "registry-before")
        code, out, errors = espalier("registry", "restore", "--from", second["file"], "--dir", registry, "--json")
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(espalier("registry", "check", "--dir", registry)[0], 0)
        self.cluster.start()
        self.assertEqual(self.generation(), json.loads(out)["new_generation"])
        self.wait_for_snapshots()
        # The last release was made after the backup: it is gone, on shards too.
        self.assertNotEqual(version_of(self.predict()), version_of(later))
        self.assertTrue(self.cluster.json("registry", "check")["clean"])

        content = pathlib.Path(second["file"]).read_bytes()
        cut = self.cluster.folder / "cut.espalier"
        cut.write_bytes(content[:-100])
        code, _, errors = espalier("registry", "restore", "--from", cut, "--dir", self.cluster.folder / "from-cut")
        self.assertEqual(code, 1)
        self.assertIn(f"byte {len(content) - 100}: the archive is cut short", errors)
        self.assertFalse((self.cluster.folder / "from-cut").exists())

    def test_a_check_needs_a_registry(self):
        for words in (["check", "--dir", self.cluster.folder], ["check", "--dir", self.cluster.folder / "nowhere"]):
            code, _, errors = espalier("registry", *words)
            self.assertEqual(code, 1)
            self.assertIn("no registry there", errors)
        self.assertEqual(espalier("registry")[0], 2)
        self.assertEqual(espalier("registry", "chek")[0], 2)


class Horizon(unittest.TestCase):
    def test_a_shard_that_was_away_too_long_takes_a_snapshot(self):
        with Cluster(shards=2, **{"keep-changes": 4}) as cluster:
            rides = cluster.folder / "rides.csv"
            cluster.run("sample-data", rides, "--rows", 2000)
            cluster.train(ROOT / "examples" / "rides.toml", rides)
            away = cluster.processes("shard")[1]
            log = cluster.dir / "log" / f"{away['name']}.log"
            before = log.read_text().count("snapshot required")
            os.kill(away["pid"], signal.SIGSTOP)
            try:
                for _ in range(6):
                    cluster.run("train", ROOT / "examples" / "rides.toml", "--data", rides, "--tenant", "acme")
            finally:
                os.kill(away["pid"], signal.SIGCONT)
            with Wire(cluster.registry()) as wire:
                newest = wire.ask({"v": 1, "op": "hello"})[0]
                reply, _ = wire.ask({"v": 1, "op": "wait", "epoch": newest["epoch"], "wait_us": 60_000_000}, seconds=70)
                feed = wire.ask({"v": 1, "op": "feed", "generation": newest["generation"], "after": 1})[0]
            self.assertTrue(reply["served"], reply)
            self.assertTrue(feed["snapshot_required"])
            self.assertGreater(log.read_text().count("snapshot required"), before)
            self.assertNotIn("gap in the change feed", log.read_text())
            self.assertTrue(cluster.json("registry", "check")["clean"])


if __name__ == "__main__":
    unittest.main()
