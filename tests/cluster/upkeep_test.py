"""Looking after a registry: check it while it answers and when it is stopped."""

import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, ROOT, Cluster, Failed  # noqa: E402


def espalier(*words):
    """Runs a command without a cluster: exit code, stdout, stderr."""
    done = subprocess.run([str(BIN / "espalier"), *map(str, words)], capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


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

    def test_a_check_needs_a_registry(self):
        for words in (["check", "--dir", self.cluster.folder], ["check", "--dir", self.cluster.folder / "nowhere"]):
            code, _, errors = espalier("registry", *words)
            self.assertEqual(code, 1)
            self.assertIn("no registry there", errors)
        self.assertEqual(espalier("registry")[0], 2)
        self.assertEqual(espalier("registry", "chek")[0], 2)


if __name__ == "__main__":
    unittest.main()
