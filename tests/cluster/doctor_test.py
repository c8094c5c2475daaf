"""`espalier doctor`: faults are planted one by one, and each is found, with what to do."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import msgpack
import zmq

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, ROOT, Cluster  # noqa: E402

BAD = ("problem", "warning")


def doctor(*words, cluster=None, key=None, prefix=()):
    """Exit code, and what was found."""
    environment = {name: value for name, value in os.environ.items() if name not in ("ESPALIER_CLUSTER", "ESPALIER_KEY")}
    words = [*prefix, BIN / "espalier", *(["--cluster", cluster] if cluster else []), *(["--key", key] if key else []), "doctor", "--json", *words]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, timeout=120, check=False)
    return done.returncode, json.loads(done.stdout)


class FakeProcess:
    """A process that answers as another version, on a host whose clock is off."""

    def __init__(self, version, off_seconds):
        self.version, self.off_us = version, int(off_seconds * 1e6)
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.endpoint = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ends.is_set():
            if not self.socket.poll(50):
                continue
            *envelope, header = self.socket.recv_multipart()
            op = msgpack.unpackb(header)["op"]
            reply = {"status": 0, "generation": 1, "epoch": 1, "version": self.version}
            if op == "process":
                reply = {"status": 0, "version": self.version, "host": "far", "pid": 1, "up_us": 60_000_000, "wall_us": time.time_ns() // 1000 + self.off_us,
                         "wall_moved_us": self.off_us, "is_synchronised": True, "open_files_limit": 1024, "core_limit": 1, "leaves_core_files": True}
            self.socket.send_multipart([*envelope, msgpack.packb(reply)])

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()
        self.socket.close(0)
        self.context.term()


class Doctor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=2, tcp=True, metrics=True)
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.cluster.__enter__()

    def look(self, *words, code=None, **more):
        got, document = doctor(*words, **{"cluster": self.cluster.dir, **more})
        self.assertEqual(got, 1 if document["problems"] else 0)
        if code is not None:
            self.assertEqual(got, code, json.dumps(document["findings"], indent=1))
        return document["findings"]

    def bad(self, findings, check):
        """Those of one check; what this machine's own clock and disk are like is not the test's matter."""
        return [f for f in findings if f["check"] == check and f["severity"] in BAD]

    def expect(self, findings, check, severity, subject, found, to_do):
        hits = [f for f in findings if (f["check"], f["severity"]) == (check, severity) and subject in f["subject"] and found in f["found"]]
        self.assertTrue(hits, json.dumps([f for f in findings if f["severity"] != "ok"], indent=1))
        self.assertIn(to_do, hits[0]["to_do"])
        return hits[0]

    def test_a_cluster_that_is_well(self):
        findings = self.look(code=0)
        for check in ("limits", "versions", "keys", "ports"):
            self.assertEqual(self.bad(findings, check), [], check)
            self.assertTrue([f for f in findings if f["check"] == check and f["severity"] == "ok"], check)
        self.assertEqual({f["subject"] for f in findings if f["check"] == "versions"}, {"this command, registry, router, s0, s1"})
        clocks = [f["found"] for f in findings if f["check"] == "clock" and " at " in f["subject"]]
        self.assertEqual(len(clocks), 4)
        self.assertTrue(all("agrees" in found for found in clocks), clocks)
        disks = [f["found"] for f in findings if f["check"] == "disk"]
        self.assertTrue(any("get to the disk" in found for found in disks) and any("are free" in found for found in disks))
        self.assertEqual(list(self.cluster.dir.rglob(".espalier-doctor*")), [], "nothing is left behind")
        self.assertIn("things are as they should be", self.cluster.run("doctor"))

    def test_a_shard_that_hangs_and_a_port_that_nobody_takes(self):
        victim = self.cluster.processes("shard")[1]
        os.kill(victim["pid"], signal.SIGSTOP)
        try:
            findings = self.look(code=1)
        finally:
            os.kill(victim["pid"], signal.SIGCONT)
        hit = self.expect(findings, "ports", "problem", "s1 at tcp://127.0.0.1:", "no answer", "systemctl status espalier-shard")
        self.assertIn(victim["endpoints"][0].split("#")[0], hit["subject"])
        self.assertNotIn("#", hit["subject"])

    def test_keys(self):
        keys = self.cluster.dir / "keys"
        for name, words in [("gone", []), ("soon", ["--expires", time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time() + 3 * 86400))]), ("open", []), ("turned", [])]:
            self.cluster.run("keys", "create", name, "--role", "reader", "--tenant", "acme", "--out", keys / f"{name}.key", *words)
        self.cluster.run("keys", "revoke", "gone")
        (keys / "open.key").chmod(0o640)
        self.cluster.run("keys", "rotate", "turned", "--overlap-seconds", "0", "--out", self.cluster.folder / "turned-new.key")
        (keys / "linked.key").symlink_to(keys / "soon.key")
        try:
            findings = self.look(code=1)
            self.expect(findings, "keys", "problem", "gone.key", "it was revoked", "make another")
            self.expect(findings, "keys", "problem", "open.key", "mode 0640", "chmod 600")
            self.expect(findings, "keys", "problem", "turned.key", "another secret", "keys rotate")
            self.expect(findings, "keys", "problem", "linked.key", "is a link", "the file itself")
            self.expect(findings, "keys", "warning", "soon.key", "it counts until", "make another")
            self.assertEqual(len(self.bad(findings, "keys")), 5)
        finally:
            for name in ("gone", "soon", "open", "turned", "linked"):
                (keys / f"{name}.key").unlink()

    def test_a_key_that_may_not_ask(self):
        eta = self.cluster.folder / "eta.key"
        self.cluster.run("keys", "create", "eta", "--role", "reader", "--tenant", "acme", "--out", eta)
        file = self.cluster.file()
        del file["up"]
        for entry in [file, *file["processes"]]:
            for name in ("registry", "router", "endpoints"):
                entry[name] = [endpoint for endpoint in entry.get(name, []) if endpoint.startswith("tcp")]
        elsewhere = self.cluster.folder / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "cluster.json").write_text(json.dumps(file))
        findings = self.look(cluster=elsewhere, key=eta)
        self.assertEqual([f for f in findings if f["severity"] == "problem"], [], "everybody answers, if only with a refusal")
        self.expect(findings, "keys", "unknown", "registry", "permission_denied", "--key")
        self.expect(findings, "versions", "unknown", "s0", "permission_denied", "--key")

    def test_another_version_on_a_host_whose_clock_is_off(self):
        with FakeProcess("0.0.9", off_seconds=-7200) as fake, tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "cluster.json").write_text(json.dumps({"registry": [f"ipc://{self.cluster.dir}/run/registry.sock"], "router": [fake.endpoint], "insecure": True}))
            findings = self.look(cluster=folder, key=self.cluster.dir / "keys" / "admin.key", code=1)
        self.expect(findings, "clock", "problem", "at far", "s behind this host's", "time service")
        self.expect(findings, "clock", "warning", "at far", "was set by -7200.000 s since it started", "time service")
        self.expect(findings, "versions", "warning", fake.endpoint, "Espalier 0.0.9", "one version everywhere")
        self.expect(findings, "limits", "warning", fake.endpoint, "may open 1,024 files", "LimitNOFILE")

    def test_a_clock_that_is_a_few_seconds_off_is_a_warning(self):
        with FakeProcess("0.1.0", off_seconds=5) as fake, tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "cluster.json").write_text(json.dumps({"registry": [f"ipc://{self.cluster.dir}/run/registry.sock"], "router": [fake.endpoint], "insecure": True}))
            findings = self.look(cluster=folder, key=self.cluster.dir / "keys" / "admin.key", code=0)
        self.expect(findings, "clock", "warning", "at far", "s ahead of this host's", "time service")

    def test_limits(self):
        findings = self.look(prefix=("prlimit", "--nofile=512:512", "--"))
        self.expect(findings, "limits", "warning", "this shell", "may open 512 files", "LimitNOFILE")
        router = self.cluster.processes("router")[0]["pid"]
        opened = len(list(pathlib.Path(f"/proc/{router}/fd").iterdir()))
        (before,) = [line.split()[3] for line in pathlib.Path(f"/proc/{router}/limits").read_text().splitlines() if line.startswith("Max open files")]
        subprocess.run(["prlimit", "--pid", str(router), f"--nofile={opened + 2}:"], check=True)
        try:
            findings = self.look(code=1)
            self.expect(findings, "limits", "problem", "router", f"of {opened + 2} files and sockets are open", "LimitNOFILE")
        finally:
            subprocess.run(["prlimit", "--pid", str(router), f"--nofile={before}:"], check=True)


class WithoutACluster(unittest.TestCase):
    def test_it_says_what_it_can(self):
        code, document = doctor()
        self.assertEqual(code, 0, document)
        self.assertLessEqual({"limits", "clock", "versions"}, {f["check"] for f in document["findings"]})

    def test_configurations_of_processes_that_do_not_run(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            free = taken.getsockname()[1]
            config = pathlib.Path(folder, "shard.toml")
            config.write_text(f'name = "s0"\ndir = "{folder}/absent"\nregistry = ["tcp://127.0.0.1:{free}"]\nbind = ["tcp://127.0.0.1:{free}"]\nkey = "{folder}/absent.key"\n')
            code, document = doctor("--config", config, "--dir", folder)
            self.assertEqual(code, 1)
            found = {(f["check"], f["severity"], f["subject"]) for f in document["findings"]}
            self.assertIn(("ports", "problem", f"{config} at tcp://127.0.0.1:{free}"), found)
            self.assertIn(("disk", "warning", f"{folder}/absent"), found)
            self.assertIn(("keys", "problem", f"{folder}/absent.key"), found)
            self.assertIn(("disk", "ok", folder), found)
            config.write_text("= wrong")
            self.assertIn(("configuration", "problem"), {(f["check"], f["severity"]) for f in doctor("--config", config)[1]["findings"]})

    def test_a_cluster_that_has_ended(self):
        with tempfile.TemporaryDirectory() as folder:
            code, document = doctor(cluster=folder)
            self.assertEqual(code, 0)
            self.assertIn(("cluster", "unknown"), {(f["check"], f["severity"]) for f in document["findings"]})
            pathlib.Path(folder, "cluster.json").write_text(json.dumps({"registry": [], "router": [], "up": 1}))
            code, document = doctor(cluster=folder)
            self.assertEqual(code, 1)
            self.assertIn(("cluster", "problem"), {(f["check"], f["severity"]) for f in document["findings"]})

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"), "a file system of one's own is needed")
    def test_disks_that_are_full_without_files_or_read_only(self):
        for options, found in [("size=300m", "of 315 MB are free"), ("size=1g,nr_inodes=20", "of 20 files can still be made"), ("size=1g,ro", "mounted read-only")]:
            with self.subTest(options), tempfile.TemporaryDirectory() as folder:
                fill = f"head -c 200000000 /dev/zero > {folder}/fill;" if "300m" in options else ""
                script = f"mount -t tmpfs -o {options} none {folder} && {fill} {BIN}/espalier doctor --json --dir {folder}"
                done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
                if not done.stdout:
                    self.skipTest(done.stderr)
                self.assertEqual(done.returncode, 1)
                hits = [f for f in json.loads(done.stdout)["findings"] if f["severity"] == "problem" and f["subject"] == folder]
                self.assertTrue([f for f in hits if found in f["found"] and f["to_do"]], hits)
                if "ro" in options.split(","):
                    self.assertTrue([f for f in hits if "no file can be made there" in f["found"]], hits)


if __name__ == "__main__":
    unittest.main()
