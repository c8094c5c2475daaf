"""The commands that the README shows a newcomer, as they stand there."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, ROOT  # noqa: E402


class Readme(unittest.TestCase):
    def test_the_first_minute_by_hand(self):
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        blocks = [block for block in re.findall(r"```sh\n(.*?)```", text, re.S) if "espalier up" in block]
        self.assertEqual(len(blocks), 1)
        with tempfile.TemporaryDirectory() as folder:
            for name in ("examples", "data"):
                os.symlink(ROOT / name, pathlib.Path(folder) / name)
            script = "set -e\n" + blocks[0].replace("$PWD/build/release/bin", str(BIN)).replace("/tmp/espalier", f"{folder}/cluster")
            # With -e the script ends at the first command that fails; its cluster ends with the script either way.
            done = subprocess.run(["bash", "-c", "trap 'kill -INT $(jobs -p) 2>/dev/null; wait' EXIT\n" + script], cwd=folder,
                                  capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("exact", done.stdout)


if __name__ == "__main__":
    unittest.main()
