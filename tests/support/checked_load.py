"""Recorded requests whose right answers are known, and loads of them that check every answer (bench/trouble_load.cc)."""

import csv
import json
import os
import random
import shutil
import subprocess

import msgpack

from espalier_cluster import BIN, ROOT, Wire, predict_header

FEATURES = ("distance_km", "hour", "passengers")


def pinned(core):
    """A prefix that keeps a command on one core, where the machine has two."""
    return ["taskset", "-c", core] if (os.cpu_count() or 1) > 1 and shutil.which("taskset") else []


def sample_rides(cluster, rows=8000):
    path = cluster.folder / "rides.csv"
    if not path.exists():
        cluster.run("sample-data", path, "--rows", rows)
    return path


def train_rides(cluster, tenant="acme"):
    cluster.train(ROOT / "examples" / "rides.toml", sample_rides(cluster), tenant=tenant, where="split = train")


def record(cluster, name, tenant="acme", count=200, rows=1, budget_us=1_000_000, seed=1, only=None):
    """Asks the cluster `count` different requests of `rows` rows each and writes them with what each version that answered says,
    and what the answer said of itself; the file's path. `only`: the features that rows have. REQUIRES: the tenant's model is trained and stays as it is."""
    with open(sample_rides(cluster), newline="", encoding="utf-8") as file:
        asked = [row for row in csv.DictReader(file) if row["split"] == "test" and row["country"] and row["city"]]
    chance = random.Random(seed)
    requests = []
    with Wire(cluster.router()) as wire:
        for _ in range(count):
            place = chance.choice(asked)
            body = msgpack.packb({"rows": [features_of(row, only) for row in chance.choices(asked, k=rows)]})
            header = msgpack.packb(predict_header(tenant, "duration", [[place["country"], place["city"]]], rows=rows, budget_us=budget_us))
            reply, answers = wire.ask(header, body)
            if reply["status"] != 0 or reply["parts"][0].get("status", 0) != 0:
                raise AssertionError(f"a request was not answered: {reply}")
            requests.append([header, [body], [{reply["parts"][0]["provenance"]["version"]: answers[0]}], msgpack.packb(reply)])
    path = cluster.folder / name
    path.write_bytes(msgpack.packb(requests))
    return path


def features_of(row, only=None):
    features = {name: float(row[name]) for name in FEATURES if row[name]} | {name: row[name] for name in ("vehicle", "weather")}
    return {name: value for name, value in features.items() if only is None or name in only}


def routers(cluster):
    """One endpoint of each router."""
    return [next(e for e in process["endpoints"] if e.startswith("ipc")) for process in cluster.processes("router")]


class Load:
    """A load that runs beside the test. `rate` a second for `seconds`, or "wN": N under way; `then`: (rate, seconds) that follow."""

    def __init__(self, cluster, recording, rate, seconds, core=None, then=()):
        rates, times = zip((rate, seconds), *then)
        command = [*(pinned(core) if core else []), BIN / "espalier-trouble-load", recording, ",".join(map(str, rates)),
                   ",".join(map(str, times)), *routers(cluster)]
        self.seconds = sum(times)
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self):
        """What became of it, once it is over; every answer was right."""
        output, errors = self.process.communicate(timeout=self.seconds + 60)
        if self.process.returncode != 0:
            raise AssertionError(errors)
        result = json.loads(output)
        if result["wrong"]:
            raise AssertionError(f"{result['wrong']} wrong answers, the first: {result['first_wrong']}")
        return result


def run_load(*arguments, **options):
    return Load(*arguments, **options).result()
