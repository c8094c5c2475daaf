"""Logs: text or JSON, their level while processes run, and what is not in them."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, Cluster, Failed, wait_until  # noqa: E402

EACH_LINE = {"time", "pid", "level", "part", "message"}


class JsonLogs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=2, tcp=True, **{"log-format": "json", "log-level": "debug"})
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.cluster.__enter__()

    def log(self, name):
        return (self.cluster.dir / "log" / f"{name}.log").read_text()

    def levels(self):
        return {p["process"]: p["level"] for p in self.cluster.json("log-level", "all")}

    def test_each_line_of_each_process_is_an_object(self):
        lines = 0
        for process in self.cluster.processes():
            for line in self.log(process["name"]).splitlines():
                read = json.loads(line)
                self.assertLessEqual(EACH_LINE, set(read), line)
                self.assertEqual(read["pid"], process["pid"])
                self.assertRegex(read["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
                self.assertIn(read["level"], ("debug", "info", "warn", "error"))
                lines += 1
        self.assertGreater(lines, 8)
        (ready,) = [line for line in map(json.loads, self.log("s0").splitlines()) if line["message"] == "ready"]
        self.assertIsInstance(ready["epoch"], int)

    def test_no_secret_is_in_them(self):
        files = list((self.cluster.dir / "keys").glob("*.key"))
        self.assertGreaterEqual(len(files), 5)
        logs = "".join(self.log(p["name"]) for p in self.cluster.processes())
        for file in files:
            (secret,) = re.findall(r'^secret = "([0-9a-f]{64})"$', file.read_text(), re.M)
            self.assertNotIn(secret, logs.lower())
            self.assertNotIn(bytes.fromhex(secret).decode("latin1"), logs)

    def test_levels_change_while_processes_run(self):
        self.assertEqual(set(self.levels()), {"registry", "router", "s0", "s1"})
        self.assertEqual(self.cluster.json("log-level", "s1", "warn"),
                         [{"process": "s1", "role": "shard", "answers": True, "level": "warn", "before": "debug"}])
        self.assertEqual(self.levels(), {"registry": "debug", "router": "debug", "s0": "debug", "s1": "warn"})
        self.cluster.run("log-level", "all", "error")
        self.assertEqual(set(self.levels().values()), {"error"})
        # The router was asked over its private socket.
        for name, by in [("registry", "admin"), ("router", "local"), ("s0", "admin")]:
            changed = [line for line in map(json.loads, self.log(name).splitlines()) if line["message"] == "another level"]
            self.assertIn({"from": "debug", "to": "error", "by": by}, [{key: line[key] for key in ("from", "to", "by")} for line in changed])
        self.cluster.run("log-level", "all", "debug")

    def test_only_who_runs_the_cluster_changes_them(self):
        self.cluster.run("keys", "create", "eta", "--role", "publisher,predictor", "--tenant", "acme", "--out", self.cluster.folder / "eta.key")
        # As from another host: over private sockets everybody is the operator.
        elsewhere = self.cluster.folder / "elsewhere"
        elsewhere.mkdir()
        named = self.cluster.file()
        del named["up"]  # others keep it running
        for entry in [named, *named["processes"]]:
            for key in ("registry", "router", "endpoints"):
                entry[key] = [endpoint for endpoint in entry.get(key, []) if endpoint.startswith("tcp")]
        (elsewhere / "cluster.json").write_text(json.dumps(named))
        for name in ("router", "s0", "registry"):
            with self.subTest(name):
                with self.assertRaises(Failed) as refused:
                    self.cluster.run("--cluster", elsewhere, "--key", self.cluster.folder / "eta.key", "log-level", name, "error")
                self.assertIn("permission_denied", refused.exception.errors)
        self.assertEqual(self.levels()["router"], "debug")

    def test_wrong_input_is_explained(self):
        for words, message in [(("log-level", "s9", "info"), "no process s9"), (("log-level", "s0", "loud"), "loud"), (("log-level",), "process")]:
            with self.subTest(words), self.assertRaises(Failed) as failed:
                self.cluster.run(*words)
            self.assertIn(message, failed.exception.errors + failed.exception.output)


class Hangup(unittest.TestCase):
    def test_sighup_takes_the_level_of_the_configuration_and_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            config, log = pathlib.Path(folder, "registry.toml"), pathlib.Path(folder, "log")

            def configure(level):
                config.write_text(f'dir = "{folder}/registry"\nbind = ["ipc://{folder}/r.sock"]\nlog-format = "json"\n' + (f'log-level = "{level}"\n' if level else ""))

            def changes():
                return [(line["from"], line["to"], line["by"]) for line in map(json.loads, log.read_text().splitlines()) if line["message"] == "another level"]

            configure("warn")
            with log.open("wb") as errors:
                process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", BIN / "espalier-registry", "--config", config], stdout=subprocess.PIPE, stderr=errors, text=True)
            try:
                self.assertEqual(json.loads(process.stdout.readline())["ready"], "registry")
                self.assertEqual(log.read_text(), "", "nothing to warn of")
                for level, change in [("debug", ("warn", "debug", "SIGHUP")), (None, ("debug", "info", "SIGHUP")), ("error", ("info", "error", "SIGHUP"))]:
                    configure(level)
                    process.send_signal(signal.SIGHUP)
                    wait_until(lambda: change in changes(), what=f"level {level}")
                config.write_text('log-level = "loud"\n')
                process.send_signal(signal.SIGHUP)
                wait_until(lambda: "can't be read again, the level stays" in log.read_text(), what="the complaint")
                self.assertIsNone(process.poll(), "it goes on")
                process.terminate()
                self.assertEqual(process.wait(30), 0)
            finally:
                process.kill()
                process.wait()
                process.stdout.close()


class CoreFiles(unittest.TestCase):
    @unittest.skipUnless(os.geteuid() == 0, "another user's process is needed to see it")
    def test_a_process_with_a_key_leaves_none(self):
        # The system gives what it shows of a process that may not be looked into to root (proc(5)).
        for key, owner in [(True, 0), (False, 65534)]:
            with self.subTest(key=key), tempfile.TemporaryDirectory() as folder:
                os.chown(folder, 65534, 65534)
                words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--pdeathsig", "KILL", "--", BIN / "espalier-registry", "--dir", f"{folder}/r",
                         "--bind", f"ipc://{folder}/r.sock", *(["--key", f"{folder}/r.key"] if key else [])]
                with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                    try:
                        said = process.stdout.readline()
                        if not said and "Permission denied" in process.stderr.read():
                            self.skipTest("the programs lie where another user may not go")
                        self.assertEqual(os.stat(f"/proc/{process.pid}/limits").st_uid, owner)
                    finally:
                        process.kill()

    def test_nor_do_the_units(self):
        for unit in (pathlib.Path(__file__).resolve().parents[2] / "deploy" / "systemd").glob("*.service"):
            self.assertIn("\nLimitCORE=0\n", unit.read_text())
            self.assertIn("\nExecReload=/bin/kill -HUP $MAINPID\n", unit.read_text())


if __name__ == "__main__":
    unittest.main()
