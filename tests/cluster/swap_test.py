"""Releases that replace every node, one after the other, under constant load: no failed answer, none that mixes two releases, none that waits.

On openpowerlifting (669 nodes) where the data sets are, else on made-up rides (about 90). The cluster has one core, the generator
another, where there are two. Many short runs rather than a few long ones: a moment in which the machine stands still then spoils the
99th percentile of a few runs only, and the median over runs is that of the others. $ESPALIER_SWAP_SECONDS sets how long each run lasts
(default 0.9), $ESPALIER_SWAP_PAIRS how many there are with and without swaps.
"""

import csv
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import unittest
import uuid

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, ROOT, Cluster, Wire, data_folder, predict_header  # noqa: E402

SECONDS = float(os.environ.get("ESPALIER_SWAP_SECONDS", "0.9"))
# Requests a second: half of a slow core, so that the releases of the background also get their turn within a run.
RATE = float(os.environ.get("ESPALIER_SWAP_RATE", "3000"))
SWAP_EVERY = 0.1
PAIRS = int(os.environ.get("ESPALIER_SWAP_PAIRS", "15"))  # of runs without and with swaps, by turns: a slow moment of the machine meets both
PARTS, ROWS_A_PART = 3, 3


class Rides:
    model, spec = "duration", ROOT / "examples" / "rides.toml"
    levels = ("country", "city")
    filters = ("split = train", "split = train and hour != 12")
    numbers, texts = ("distance_km", "hour"), ("vehicle", "weather")

    @staticmethod
    def file(cluster):
        path = cluster.folder / "rides.csv"
        cluster.run("sample-data", path, "--rows", 30000)
        return path


class OpenPowerlifting:
    model, spec = "total", ROOT / "examples" / "openpowerlifting.toml"
    levels = ("country", "state", "town")
    filters = ("split = train", "split = train and age != 24")
    numbers, texts = ("bodyweight_kg", "age"), ("sex", "equipment", "month")

    @staticmethod
    def file(_):
        return data_folder() / "openpowerlifting" / "openpowerlifting.csv"


def pinned(core):
    """A prefix that keeps a command on one core, where the machine has two."""
    return ["taskset", "-c", core] if (os.cpu_count() or 1) > 1 and shutil.which("taskset") else []


def quartiles(values):
    return [round(value, 3) for value in statistics.quantiles(values, n=4, method="inclusive")] if len(values) > 1 else values


class SwapUnderLoad(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data = OpenPowerlifting if data_folder() else Rides
        cls.cluster = Cluster(shards=2, prefix=pinned("0")).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        file = cls.data.file(cls.cluster)
        for where in cls.data.filters:
            cls.cluster.train(cls.data.spec, file, where=where)
        releases = cls.cluster.json("release", "list", f"acme/{cls.data.model}")
        cls.releases = [uuid.UUID(release["release"]) for release in releases]
        assert len(cls.releases) == 2, releases
        requests = cls.make_requests(file)
        cls.recording, cls.moves = cls.cluster.folder / "recording", cls.cluster.folder / "moves"
        cls.recording.write_bytes(msgpack.packb([[*request, expected] for request, expected in zip(requests, cls.ask_each_release(requests))]))
        cls.moves.write_bytes(msgpack.packb(["acme", cls.data.model, "production", [release.bytes for release in cls.releases]]))

    @classmethod
    def make_requests(cls, path):
        """(header, bodies): each with parts of different nodes, some of which no version has."""
        by_node = {}
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["split"] == "test":
                    values = {name: float(row[name]) for name in cls.data.numbers if row[name]}
                    values |= {name: row[name] for name in cls.data.texts}
                    by_node.setdefault(tuple(row[level] for level in cls.data.levels), []).append(values)
        nodes = sorted(node for node, rows in by_node.items() if all(node) and len(rows) >= ROWS_A_PART)
        chance = random.Random(1)
        requests = []
        for _ in range(400):
            asked = chance.sample(nodes, PARTS)
            bodies = [msgpack.packb({"rows": chance.sample(by_node[node], ROWS_A_PART)}) for node in asked]
            header = predict_header("acme", cls.data.model, asked, rows=ROWS_A_PART, budget_us=5_000_000)
            requests.append((msgpack.packb(header), bodies))
        return requests

    @classmethod
    def ask_each_release(cls, requests):
        """By request, part and version: the body of the answer while that version's release stood still."""
        expected = [[{} for _ in bodies] for _, bodies in requests]
        with Wire(cls.cluster.router()) as wire:
            for release in cls.releases:
                cls.cluster.run("release", "move", f"acme/{cls.data.model}", str(release), "--wait")
                for (header, bodies), parts in zip(requests, expected):
                    reply, answers = wire.ask(header, *bodies)
                    assert reply["status"] == 0, reply
                    for part, answer, by_version in zip(reply["parts"], answers, parts):
                        assert part.get("status", 0) == 0, part
                        by_version[part["provenance"]["version"]] = answer
        assert all(len(by_version) == 2 for parts in expected for by_version in parts), "the releases share a version"
        return expected

    def load(self, *moves):
        """A run of the generator, each answer of which must be right."""
        command = [*pinned("1"), BIN / "espalier-steady-load", self.cluster.router(), self.recording, RATE, SECONDS, *moves]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=SECONDS + 60)
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual(result["wrong"], 0, result["first_wrong"])
        self.assertEqual(result["answered"], int(RATE * SECONDS))
        return result

    def test_no_answer_fails_or_mixes_and_none_waits(self):
        self.load()
        still, swapped = [], []
        for _ in range(PAIRS):
            without = self.load()
            result = self.load(self.cluster.registry(), self.moves, SWAP_EVERY)
            self.assertEqual(result["moves"], round(SECONDS / SWAP_EVERY))
            self.assertGreater(result["versions"], 1.8 * without["versions"], "not both releases have answered")
            still.append(without["p99_ms"])
            swapped.append(result["p99_ms"])
        print(f"p99 over {PAIRS} runs (quartiles): without swaps {quartiles(still)}, with {quartiles(swapped)} ms")
        self.assertLessEqual(statistics.median(swapped), 2 * statistics.median(still), (still, swapped))


if __name__ == "__main__":
    unittest.main()
