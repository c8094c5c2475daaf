"""Keys as people make, limit, rotate and revoke them, and a registry that asks for them."""

import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN  # noqa: E402


def secret_of(file):
    (line,) = [line for line in file.read_text().splitlines() if line.startswith("secret")]
    return line.split('"')[1]


class Registry:
    """A registry alone, on ipc in its private folder and on tcp with a key; commands of `espalier` with a key or as its operator."""

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self._folder.name)
        words = ["setpriv", "--pdeathsig", "KILL", "--", BIN / "espalier-registry", "--dir", self.folder / "registry", "--key", self.folder / "registry.key",
                 "--bind", f"ipc://{self.folder}/r.sock", "--bind", "tcp://127.0.0.1:*"]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True)
        self.private, self.secured = json.loads(self.process.stdout.readline())["endpoints"]
        for name, endpoint in [("private", self.private), ("secured", self.secured)]:
            (self.folder / name).mkdir()
            (self.folder / name / "cluster.json").write_text(json.dumps({"registry": [endpoint], "router": [endpoint]}))
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self._folder.cleanup()

    def run(self, *words, key=None):
        """As the operator of the machine; with `key` over tcp. Returns exit code and all that it said."""
        environment = {**os.environ, "ESPALIER_CLUSTER": str(self.folder / ("secured" if key else "private"))}
        environment.pop("ESPALIER_KEY", None)
        if key and key != "none":
            environment["ESPALIER_KEY"] = str(self.folder / key)
        done = subprocess.run([str(word) for word in [BIN / "espalier", *words]], env=environment, cwd=self.folder, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def must(self, *words, key=None):
        code, said = self.run(*words, key=key)
        if code != 0:
            raise AssertionError(f"{words}: {said}")
        return said


class Keys(unittest.TestCase):
    def setUp(self):
        self.registry = Registry().__enter__()
        self.addCleanup(self.registry.__exit__, None, None, None)

    def state(self, name):
        keys = json.loads(self.registry.must("keys", "list", "--json"))["keys"]
        (key,) = [key for key in keys if key["name"] == name]
        return key

    def test_a_key_does_what_its_role_says_and_no_more(self):
        self.registry.must("keys", "create", "eta", "--role", "reader", "--tenant", "acme")
        self.registry.must("keys", "create", "root", "--role", "admin", "--all-tenants")
        self.assertIn("eta", self.registry.must("keys", "list", key="root.key"))
        self.registry.must("search", "models", "--tenant", "acme", key="eta.key")
        for words in [("search", "models", "--tenant", "globex"), ("keys", "list"), ("keys", "revoke", "root"), ("registry", "check"), ("drain", "s0")]:
            with self.subTest(words):
                code, said = self.registry.run(*words, key="eta.key")
                self.assertEqual(code, 1)
                self.assertIn("permission_denied: principal eta may not", said)

    def test_without_a_key_nobody_gets_anywhere_and_is_told_what_is_missing(self):
        code, said = self.registry.run("search", "models", key="none")
        self.assertEqual(code, 1)
        self.assertIn("needs a key", said)

    def test_the_registrys_own_key_is_made_and_kept(self):
        file = self.registry.folder / "registry.key"
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.assertTrue(self.registry.secured.endswith("#" + self.registry.must("keys", "public", file).strip()))

    def test_a_revoked_key_is_refused_from_then_on(self):
        self.registry.must("keys", "create", "eta", "--role", "reader", "--tenant", "acme")
        self.registry.must("search", "models", "--tenant", "acme", key="eta.key")
        self.registry.must("keys", "revoke", "eta")
        self.assertFalse(self.state("eta")["counts"])
        code, said = self.registry.run("keys", "create", "eta", "--role", "reader", "--tenant", "acme", "--out", "again.key")
        self.assertEqual(code, 1)
        self.assertIn("was revoked", said)
        self.assertFalse((self.registry.folder / "again.key").exists(), "no file of a key that there isn't")

    def test_a_rotated_key_counts_with_both_secrets(self):
        self.registry.must("keys", "create", "eta", "--role", "reader", "--tenant", "acme")
        self.registry.must("keys", "rotate", "eta", "--out", "new.key", "--overlap-seconds", "3600")
        for file in ("eta.key", "new.key"):
            self.registry.must("search", "models", "--tenant", "acme", key=file)
        self.assertEqual([half["counts"] for half in self.state("eta")["halves"]], [True, True])

    def test_files_that_others_can_read_are_refused(self):
        self.registry.must("keys", "create", "eta", "--role", "reader", "--tenant", "acme")
        file = self.registry.folder / "eta.key"
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        file.chmod(0o644)
        code, said = self.registry.run("search", "models", "--tenant", "acme", key="eta.key")
        self.assertEqual(code, 1)
        self.assertIn("chmod 600", said)
        code, said = self.registry.run("keys", "create", "theta", "--role", "reader", "--tenant", "acme", "--out", "eta.key")
        self.assertEqual(code, 1)
        self.assertIn("already_exists", said)

    def test_a_secret_is_nowhere_but_in_its_file(self):
        said = self.registry.must("keys", "create", "eta", "--role", "publisher,predictor", "--tenant", "acme", "--json")
        said += self.registry.must("keys", "rotate", "eta", "--out", "new.key")
        said += self.registry.must("keys", "list", "--json") + self.registry.must("keys", "public", "eta.key")
        said += self.registry.run("search", "models", "--tenant", "acme", key="new.key")[1]
        secrets = [secret_of(self.registry.folder / file) for file in ("eta.key", "new.key", "registry.key")]
        self.registry.process.terminate()
        self.registry.process.wait(30)
        found = [said, (self.registry.folder / "log").read_text()]
        found += [path.read_bytes().hex() + path.read_bytes().decode("latin1") for path in (self.registry.folder / "registry").rglob("*") if path.is_file()]
        for secret in secrets:
            self.assertEqual(len(secret), 64)
            self.assertFalse(any(secret in text for text in found))

    def test_wrong_input_is_explained(self):
        for words, message in [
            (("keys", "create", "eta", "--role", "king", "--tenant", "acme"), "king"),
            (("keys", "create", "eta", "--role", "reader"), "either some, or all_tenants"),
            (("keys", "create", "s0", "--role", "shard", "--tenant", "acme"), "has none"),
            (("keys", "create", "Eta", "--role", "reader", "--tenant", "acme"), "Eta"),
            (("keys", "create", "eta", "--role", "reader", "--tenant", "acme", "--expires", "tomorrow"), "a time in UTC"),
            (("keys", "revoke", "eta"), "not_found: key eta"),
            (("keys", "limit", "eta"), "say what is left"),
            (("keys", "public", "nothing.key"), "not_found"),
            (("keys",), "subcommand"),
        ]:
            with self.subTest(words):
                code, said = self.registry.run(*words)
                self.assertNotEqual(code, 0)
                self.assertIn(message, said)
        self.assertEqual(list(self.registry.folder.glob("eta*")), [], "and nothing is left")


class Listening(unittest.TestCase):
    def test_where_others_could_connect_a_registry_needs_a_key(self):
        with tempfile.TemporaryDirectory() as folder:
            words = ["setpriv", "--pdeathsig", "KILL", "--", BIN / "espalier-registry", "--dir", f"{folder}/r", "--bind", "tcp://127.0.0.1:*"]
            refused = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("--insecure", refused.stderr)
            with subprocess.Popen([*words, "--insecure"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
                self.assertNotIn("#", started.stdout.readline())
                started.terminate()
                self.assertIn("not secured", started.stderr.read())


if __name__ == "__main__":
    unittest.main()
