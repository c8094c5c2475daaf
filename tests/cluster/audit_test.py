"""Who changed what, as people read it, and what tenants may have."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, ROOT, Cluster, Failed  # noqa: E402

TRAINED = {"spec": ROOT / "examples" / "rides.toml", "where": "split = train"}


def utc(seconds):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


class Audit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=1, tcp=True).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.rides, cls.fewer = cls.cluster.folder / "rides.csv", cls.cluster.folder / "fewer.csv"
        cls.cluster.run("sample-data", cls.rides, "--rows", 3000)
        cls.cluster.run("sample-data", cls.fewer, "--rows", 2000)
        cls.begun = time.time()
        for tenant in ("acme", "globex"):
            cls.train(tenant)

    @classmethod
    def train(cls, tenant, data=None):
        return cls.cluster.train(TRAINED["spec"], data or cls.rides, tenant=tenant, where=TRAINED["where"])

    def audit(self, *words):
        return self.cluster.json("audit", *words)["records"]

    def reader(self, name, tenant):
        file = self.cluster.folder / f"{name}.key"
        self.cluster.run("keys", "create", name, "--role", "reader", "--tenant", tenant, "--out", file)
        return file

    def with_key(self, file, *words):
        done = subprocess.run([str(BIN / "espalier"), "--key", str(file), *words], capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "ESPALIER_CLUSTER": str(self.cluster.dir)})
        return done.returncode, done.stdout + done.stderr

    def test_each_change_has_one_record_with_who_before_and_after(self):
        known = {record["epoch"] for record in self.audit("--limit", 10_000)}
        first = self.audit("--tenant", "acme", "--operation", "publish")[0]["after"]["release"]
        self.train("acme", self.fewer)
        self.cluster.run("rollback", "acme/duration", "--to", first)
        self.reader("theta", "acme")
        self.cluster.run("keys", "revoke", "theta")
        fresh = [record for record in self.audit("--limit", 10_000) if record["epoch"] not in known]
        by = {record["operation"]: record for record in fresh}
        self.assertEqual([record["epoch"] for record in fresh], sorted({record["epoch"] for record in fresh}, reverse=True))
        self.assertEqual(by["publish"]["before"]["release"], first)
        self.assertEqual(by["rollback"]["before"]["release"], by["publish"]["after"]["release"])
        self.assertEqual((by["rollback"]["who"], by["rollback"]["roles"]), ("admin", ["admin"]))
        public = self.cluster.run("keys", "public", self.cluster.dir / "keys" / "admin.key")
        self.assertEqual(by["rollback"]["keys"], [re.search("[0-9a-f]{64}", public)[0][:16]])
        self.assertEqual((by["key_create"]["subject"], by["key_create"]["before"]), ("key theta", None))
        self.assertIn("revoked_us", by["key_revoke"]["after"])
        self.assertTrue({"run_start", "run_end"} <= set(by), "a training's run, too")
        said = self.cluster.run("audit", "--limit", 2)
        self.assertIn("key theta", said)
        self.assertIn("there are more", said)

    def test_is_found_by_who_operation_and_time(self):
        self.assertEqual({record["operation"] for record in self.audit("--operation", "publish")}, {"publish"})
        self.assertEqual({record["who"] for record in self.audit("--who", "s0")}, {"s0"})
        self.assertEqual({record["tenant"] for record in self.audit("--tenant", "globex")}, {"globex"})
        self.assertEqual(self.audit("--until", utc(self.begun - 3600)), [])
        self.assertEqual(self.audit("--since", utc(self.begun + 3600)), [])
        self.assertGreater(len(self.audit("--since", utc(self.begun - 3600), "--until", utc(self.begun + 3600))), 4)
        with self.assertRaisesRegex(Failed, "--since: a time in UTC"):
            self.cluster.run("audit", "--since", "yesterday")

    def test_a_tenants_key_reads_its_tenants_only(self):
        file = self.reader("eta", "acme")
        self.assertEqual(self.with_key(file, "audit", "--tenant", "acme")[0], 0)
        refused = [self.with_key(file, "audit", *words) for words in ([], ["--tenant", "globex"], ["--tenant", "nobody"])]
        for code, said in refused:
            self.assertEqual(code, 1)
            self.assertIn("permission_denied", said)
        self.assertEqual(refused[1][1].replace("globex", ""), refused[2][1].replace("nobody", ""))
        code, said = self.with_key(file, "tenant", "show", "acme", "--json")
        self.assertEqual(code, 0, said)
        self.assertEqual(json.loads(said)["used"]["models"], 1)

    def test_what_goes_beyond_a_quota_is_refused_and_says_which(self):
        used = self.cluster.json("tenant", "show", "globex")["used"]
        self.assertEqual(used["models"], 1)
        self.assertGreater(used["nodes"], 3)
        shown = self.cluster.json("tenant", "set", "globex", "--models", 1, "--bytes", used["bytes"])
        self.assertEqual(shown["quota"], {"models": 1, "nodes": 0, "bytes": used["bytes"]})
        self.assertIn("1 of 1", self.cluster.run("tenant", "show", "globex"))
        with self.assertRaisesRegex(Failed, "quota of tenant globex: .* bytes used"):
            self.train("globex", self.fewer)
        self.assertEqual(self.cluster.json("tenant", "show", "globex")["used"], used, "nothing of it was kept")
        self.cluster.run("tenant", "set", "globex", "--bytes", 0)
        self.train("globex", self.fewer)
        self.assertGreater(self.cluster.json("tenant", "show", "globex")["used"]["bytes"], used["bytes"])
        set_by = self.audit("--operation", "set_quota", "--tenant", "globex")
        self.assertEqual(len(set_by), 2)
        self.assertEqual(set_by[-1]["after"], {"models": 1, "nodes": 0, "bytes": used["bytes"]})

    def test_a_backup_has_it(self):
        before = self.audit("--limit", 100_000)
        file, folder = self.cluster.folder / "backup.espalier", self.cluster.folder / "restored"
        self.cluster.run("registry", "backup", "--to", file)
        self.cluster.run("registry", "restore", "--from", file, "--dir", folder)
        private = self.cluster.folder / "private"
        private.mkdir(mode=0o700)
        with (private / "log").open("wb") as log:
            process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", BIN / "espalier-registry", "--dir", folder, "--bind", f"ipc://{private}/r.sock"],
                                       stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            (endpoint,) = json.loads(process.stdout.readline())["endpoints"]
            (private / "cluster.json").write_text(json.dumps({"registry": [endpoint], "router": [endpoint]}))

            def restored(*words):
                done = subprocess.run([str(BIN / "espalier"), *words, "--json"], capture_output=True, text=True, timeout=60, check=True,
                                      env={**os.environ, "ESPALIER_CLUSTER": str(private)})
                return json.loads(done.stdout)

            own = restored("audit", "--limit", "100000")["records"]
            self.assertEqual([record for record in own if record["who"] != "registry" or record in before], before)
            self.assertEqual(restored("registry", "check")["findings"], [])
            quota = restored("tenant", "show", "acme")
            self.assertEqual(quota["used"], self.cluster.json("tenant", "show", "acme")["used"])
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


if __name__ == "__main__":
    unittest.main()
