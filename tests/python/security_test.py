"""docs/security.md: each threat names tests that try it, and each test that it names is there."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"
#: What has to be among them.
THREATS = ("stolen key", "other tenant", "spoofed shard", "replay", "flood", "malformed frames", "hostile artefact", "symlink and path tricks", "leaked errors")


def rows():
    """Threat, what stands against it, and (test, file) pairs, of each row."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    for line in lines[1:]:
        threat, against, tried = (cell.strip() for cell in line.strip("|").split(" | "))
        yield threat, against, re.findall(r"\[`([^`]+)`\]\(\.\./([^)]+)\)", tried)


def has(file, test):
    """Whether the file has the test, by the means of its kind."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return re.search(rf"^\s+def {re.escape(test)}\(self", text, re.M) is not None
    if file.name.endswith("_fuzz.cc"):
        return test == "fuzz_" + file.name[:-len("_fuzz.cc")] and "run_fuzzer(" in text
    suite, name = test.split(".")
    return re.search(rf"^TEST(_F)?\({re.escape(suite)}, {re.escape(name)}\)", text, re.M) is not None


class Security(unittest.TestCase):
    def test_each_named_test_is_there(self):
        named = 0
        for threat, _, tests in rows():
            self.assertTrue(tests, f"{threat}: no test tries it")
            for test, path in tests:
                with self.subTest(threat=threat, test=test):
                    file = ROOT / path
                    self.assertTrue(file.is_file(), path)
                    self.assertTrue(has(file, test), f"{path} has no {test}")
                named += 1
        print(f"{named} tests of {len(list(rows()))} threats")
        self.assertGreater(named, 40)

    def test_each_threat_of_the_list_is_among_them(self):
        threats = [threat for threat, _, _ in rows()]
        for wanted in THREATS:
            self.assertTrue(any(threat.startswith(wanted) for threat in threats), wanted)

    def test_a_test_that_is_not_there_is_found_missing(self):
        self.assertFalse(has(ROOT / "tests/unit/wire/keyring_test.cc", "KeyringTest.NobodyEver"))
        self.assertFalse(has(ROOT / "tests/cluster/secured_test.py", "test_nothing"))
        self.assertFalse(has(ROOT / "tests/fuzz/model_pack_fuzz.cc", "fuzz_model_spec"))


if __name__ == "__main__":
    unittest.main()
