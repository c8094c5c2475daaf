"""What deploy/ and docs/operations.md show: the example configurations are the reference of every option and start each process, the example
of three hosts serves, the units are sound, and the commands exist.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, ROOT  # noqa: E402
from host_cluster import Process  # noqa: E402
from network import Network, why_not  # noqa: E402

ROLES = ("registry", "router", "shard")
DEPLOY, OPERATIONS = ROOT / "deploy", (ROOT / "docs" / "operations.md")
# The units need the service manager's own means only; what is left is the network, and the system calls that a server makes.
MOST_EXPOSED = 15  # of 100, as systemd-analyze security counts


def help_of(*words):
    return subprocess.run([str(BIN / words[0]), *words[1:], "--help"], capture_output=True, text=True, check=True).stdout


def run(*words, **more):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False, **more)


class Reference(unittest.TestCase):
    def test_it_has_every_option_and_no_other(self):
        for role in ROLES:
            with self.subTest(role):
                options = set(re.findall(r"^  (?:-\w,)?--([a-z-]+)", help_of(f"espalier-{role}"), re.M)) - {"help", "config"}
                self.assertEqual(set(tomllib.loads((DEPLOY / "config" / f"{role}.toml").read_text())), options)

    def test_its_defaults_are_those_of_the_process(self):
        for role in ROLES:
            reference = tomllib.loads((DEPLOY / "config" / f"{role}.toml").read_text())
            for option, default in re.findall(r"^  --([a-z-]+) (?:\S+ )*?\S*=([^\s()\[\],]+)(?=\s|$)", help_of(f"espalier-{role}"), re.M):
                with self.subTest(f"{role} --{option}"):
                    self.assertEqual(str(reference[option]), default)

    def test_an_option_that_does_not_exist_is_an_error(self):
        for role in ROLES:
            with self.subTest(role), tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                file.write((DEPLOY / "config" / f"{role}.toml").read_text() + "\nkeep-chnages = 3\n")
                file.flush()
                done = run(BIN / f"espalier-{role}", "--config", file.name)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("keep-chnages", done.stdout + done.stderr)

    def test_each_process_starts_from_it(self):
        with tempfile.TemporaryDirectory() as folder:
            started = []
            try:
                for role in ROLES:
                    # Everything else as it stands there.
                    words = ["setpriv", "--pdeathsig", "KILL", "--", BIN / f"espalier-{role}", "--config", DEPLOY / "config" / f"{role}.toml", "--dir", f"{folder}/{role}",
                             "--bind", f"ipc://{folder}/{role}.sock"]
                    words += [] if role == "registry" else ["--registry", f"ipc://{folder}/registry.sock"]
                    started.append(subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
                    said = started[-1].stdout.readline()
                    self.assertTrue(said, f"{role} did not start")
                    self.assertEqual(json.loads(said)["ready"], role)
                for process in reversed(started):
                    process.terminate()
                    self.assertEqual(process.wait(30), 0)
            finally:
                for process in started:
                    process.kill()
                    process.wait()
                    process.stdout.close()


@unittest.skipIf(why_not(), why_not())
class ThreeHosts(unittest.TestCase):
    def test_they_serve_lose_a_shard_and_come_back_from_a_backup(self):
        files = sorted((DEPLOY / "three-hosts").glob("*/*.toml"))
        hosts = {file.parent.name: re.search(r'bind = \["tcp://([0-9.]+):', file.read_text())[1] for file in files}
        with Network() as self.network, tempfile.TemporaryDirectory() as self.folder:
            for host, address in [*hosts.items(), ("client", "10.20.0.99")]:
                self.network.add(host, f"{address}/24")
            cluster = types.SimpleNamespace(folder=pathlib.Path(self.folder), prefix=self.network.prefix)
            processes = {f"{file.stem}-{file.parent.name}": Process(cluster, file.stem, f"{file.stem}-{file.parent.name}", file.parent.name,
                                                                    [BIN / f"espalier-{file.stem}", "--config", file]) for file in files}
            try:
                for process in processes.values():
                    process.launch()
                for process in processes.values():
                    process.wait_ready()
                self.use(processes)
            finally:
                for process in processes.values():
                    process.end(signal.SIGKILL)

    def use(self, processes):
        """The commands that the page shows, from a host of their own."""
        said = self.shell(self.block("cluster.json"))
        self.assertIn("exact", said)
        predict = said_line(self.block("cluster.json"), "espalier predict")
        self.shell(self.block("espalier drain"))
        self.assertEqual(processes["shard-gamma"].wait(), 0)
        self.assertIn("exact", self.shell(predict))
        os.mkdir(f"{self.folder}/backup")
        self.shell(self.block("espalier registry backup"))
        registry = processes["registry-alpha"]
        self.assertEqual(registry.end(), 0)
        shutil.rmtree(registry.folder)
        (backup,) = pathlib.Path(self.folder, "backup").iterdir()
        restore = said_line(self.block("registry.lost"), "sudo espalier registry restore").removeprefix("sudo ")
        self.shell(restore.replace("FILE", backup.name).replace("/var/lib/espalier/registry", str(registry.folder)))
        self.assertIn("exact", self.shell(predict))
        registry.start()
        self.shell("espalier registry check")
        self.assertIn("exact", self.shell(predict))

    @staticmethod
    def block(what):
        (block,) = [block for block in re.findall(r"```sh\n(.*?)```", OPERATIONS.read_text(), re.S) if what in block]
        return block

    def shell(self, script):
        script = script.replace("~/espalier", f"{self.folder}/here").replace("rides.csv", f"{self.folder}/rides.csv")
        script = script.replace("/backup/", f"{self.folder}/backup/")
        done = run(*self.network.prefix("client"), "bash", "-c", "set -e\n" + script, cwd=ROOT,
                   env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "ESPALIER_CLUSTER": f"{self.folder}/here"})
        self.assertEqual(done.returncode, 0, script + done.stdout + done.stderr)
        return done.stdout


def said_line(block, beginning):
    (line,) = [line for line in block.splitlines() if line.startswith(beginning)]
    return line


class Units(unittest.TestCase):
    def setUp(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("needs systemd-analyze")
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.units = []
        for unit in sorted((DEPLOY / "systemd").glob("*.service")):
            self.units.append(self.folder / unit.name)
            self.units[-1].write_text(unit.read_text().replace("/usr/local/bin", str(BIN)))

    def test_they_are_units(self):
        self.assertEqual(len(self.units), len(ROLES))
        done = run("systemd-analyze", "verify", *self.units)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_they_are_let_do_little(self):
        for unit in self.units:
            done = run("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_process_that_ends_well_stays_down(self):
        for unit in self.units:
            self.assertIn("Restart=on-failure\n", unit.read_text())


class Page(unittest.TestCase):
    def test_its_commands_exist_with_their_options(self):
        blocks = "\n".join(re.findall(r"```sh\n(.*?)```", OPERATIONS.read_text(), re.S))
        spans = [span for span in re.findall(r"`(espalier [^`]+)`", OPERATIONS.read_text()) if not span.startswith("espalier-")]
        commands = [line.removeprefix("sudo ") for line in blocks.splitlines() if re.match(r"(sudo )?espalier ", line)] + spans
        self.assertGreater(len(commands), 8)
        for command in commands:
            with self.subTest(command):
                words = command.split("#")[0].split()[1:]
                path = [word for word in words[:2] if re.fullmatch(r"[a-z-]+", word)]
                for length in (len(path), 1):
                    done = run(BIN / "espalier", *path[:length], "--help")
                    if done.returncode == 0:
                        break
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                for option in re.findall(r"(?<= )(--[a-z-]+)", command):
                    self.assertRegex(done.stdout + help_of("espalier"), rf"{option}\b")

    def test_the_files_that_it_names_exist(self):
        for path in re.findall(r"(?:deploy|tests|docs|examples)/[\w./-]*\w", OPERATIONS.read_text()):
            self.assertTrue((ROOT / path).exists(), path)


if __name__ == "__main__":
    unittest.main()
