"""Requests a second and latencies of the whole way of a prediction, beside a bare ZeroMQ proxy with the same frames.

Simulates: one busy client, one tabular row a request, a window of requests under way; a tree of some hundred nodes that fits the cache.
The cluster (registry, one shard, router) has one core, the generator the other; the proxy and the worker behind it get the same core.
Connections carry no keys (--insecure); with --curve they do, over tcp, and all is compared with a second cluster and a second proxy
without. Every answer is checked. Runs alternate between the two, so that a slow minute of the machine hits both; shown are the median and the
range of the runs. Does not simulate: many machines, many clients, models that are read from disk.
"""

import argparse
import csv
import json
import os
import pathlib
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "support"))
from espalier_cluster import BIN, ROOT, Cluster, Wire, predict_header  # noqa: E402

SERVER_CORE, CLIENT_CORE = "0", "1"
MOST_ROUND_TRIP, LEAST_RATE = 1.3, 0.6
MOST_CURVE_ROUND_TRIP = 1.2  # of the cluster with CURVE, of that without
COLUMNS = ["transport", "window", "what", "requests/s", "range", "p50 us", "p90 us", "p99 us", "p99.9 us"]


def pinned(core):
    """A prefix that keeps a command on one core, where the machine has two."""
    return ["taskset", "-c", core] if (os.cpu_count() or 1) > 1 and shutil.which("taskset") else []


def with_key(file):
    return ["--key", str(file)] if file else []


def record_requests(cluster, rides, path, count):
    """Asks the cluster `count` different requests and writes each with its reply to `path`."""
    with open(rides, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    random.Random(1).shuffle(rows)
    frames = []
    with Wire(cluster.router()) as wire:
        for row in rows[:count]:
            features = {name: float(row[name]) for name in ("distance_km", "hour", "passengers") if row[name]}
            features |= {name: row[name] for name in ("vehicle", "weather")}
            header = msgpack.packb(predict_header("acme", "duration", [[row["country"], row["city"]]], budget_us=10_000_000))
            body = msgpack.packb({"rows": [features]})
            request = wire.send(header, body)
            got, reply, *bodies = wire.receive()
            status = msgpack.unpackb(reply)
            if got != request or status["status"] != 0 or status["parts"][0].get("status", 0) != 0 or len(bodies) != 1:
                raise SystemExit(f"a request was not answered: {status}")
            frames.append((header, body, reply, bodies[0]))
    with open(path, "wb") as file:
        file.write(struct.pack("<I", len(frames)))
        for exchange in frames:
            for frame in exchange:
                file.write(struct.pack("<I", len(frame)) + frame)


def generate(endpoint, recording, window, seconds, key=None):
    done = subprocess.run([*pinned(CLIENT_CORE), BIN / "espalier-bench", "load", endpoint, recording, str(window), str(seconds), *with_key(key)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    result = json.loads(done.stdout)
    if result["wrong"]:
        raise SystemExit(f"{result['wrong']} wrong answers, the first with the header {result['first_wrong']}")
    return result


class Proxy:
    """The bare proxy and one worker behind it."""

    def __init__(self, transport, folder, recording, key=None, worker_key=None):
        """`key`: file of the proxy's own; with it both sides are secured."""
        back = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{folder}/back.sock"
        front = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{folder}/front.sock"
        tool = [*pinned(SERVER_CORE), str(BIN / "espalier-bench")]
        self.proxy = subprocess.Popen([*tool, "proxy", front, back, *with_key(key)], stdout=subprocess.PIPE, text=True)
        bound = json.loads(self.proxy.stdout.readline())
        self.front = bound["front"]
        self.worker = subprocess.Popen([*tool, "worker", bound["back"], recording, *with_key(worker_key)])

    def stop(self):
        for process in (self.worker, self.proxy):
            process.terminate()
            process.wait()


def summary(transport, window, what, runs):
    rates = [run["rps"] for run in runs]
    middle = {name: statistics.median(run[name] for run in runs) for name in ("p50_us", "p90_us", "p99_us", "p999_us")}
    return {"transport": transport, "window": window, "what": what, "rps": statistics.median(rates), "rps_least": min(rates),
            "rps_most": max(rates), **middle}


def line_of(result):
    spread = f"{result['rps_least']:,.0f}-{result['rps_most']:,.0f}"
    return [result["transport"], result["window"], result["what"], f"{result['rps']:,.0f}", spread,
            *(f"{result[name]:,.0f}" for name in ("p50_us", "p90_us", "p99_us", "p999_us"))]


def print_columns(cells):
    print("".join(f"{str(cell):>{width}}" for cell, width in zip(cells, (9, 8, 15, 12, 18, 9, 9, 9, 10))), flush=True)


def measure(transport, rides, options, results):
    prefix = pinned(SERVER_CORE)
    with Cluster(shards=1, prefix=prefix, insecure=True, **({"tcp": True} if transport == "tcp" else {})) as cluster:
        cluster.train(ROOT / "examples" / "rides.toml", rides, where="split = train")
        recording = cluster.folder / "recording"
        record_requests(cluster, rides, recording, options.requests)
        proxy = Proxy(transport, cluster.folder, recording)
        try:
            for window in options.windows:
                runs = {"proxy": [], "espalier": []}
                for _ in range(options.runs):
                    runs["proxy"].append(generate(proxy.front, recording, window, options.seconds))
                    runs["espalier"].append(generate(cluster.router(transport), recording, window, options.seconds))
                both = [summary(transport, window, what, runs[what]) for what in ("proxy", "espalier")]
                ratios = sorted(e["rps"] / p["rps"] for e, p in zip(runs["espalier"], runs["proxy"]))
                both[1]["ratio"] = both[1]["rps"] / both[0]["rps"]
                both[1]["ratio_least"], both[1]["ratio_most"] = ratios[0], ratios[-1]
                trips = sorted(e["p50_us"] / p["p50_us"] for e, p in zip(runs["espalier"], runs["proxy"]))
                both[1]["round_trip"] = statistics.median(trips)
                results += both
                if not options.json:
                    for result in both:
                        print_columns(line_of(result))
                    print(f"{'':>17}  {both[1]['ratio']:.2f} of the proxy ({ratios[0]:.2f}-{ratios[-1]:.2f})"
                          + (f"; a round trip takes {both[1]['round_trip']:.2f} times as long ({trips[0]:.2f}-{trips[-1]:.2f})"
                             if window == 1 else ""), flush=True)
        finally:
            proxy.stop()


def note(result, name, each):
    result[name], result[f"{name}_least"], result[f"{name}_most"] = statistics.median(each), min(each), max(each)


def spread(result, name):
    return f"{result[name]:.2f} ({result[f'{name}_least']:.2f}-{result[f'{name}_most']:.2f})"


def measure_curve(rides, options, results):
    """Two clusters and two proxies, with CURVE and without, in turn."""
    prefix = pinned(SERVER_CORE)
    with Cluster(shards=1, prefix=prefix, tcp=True, insecure=True) as plain, Cluster(shards=1, prefix=prefix, tcp=True) as secured:
        keys = secured.dir / "keys"
        for cluster in (plain, secured):
            cluster.train(ROOT / "examples" / "rides.toml", rides, where="split = train")
            record_requests(cluster, rides, cluster.folder / "recording", options.requests)
        proxies = {"proxy": Proxy("tcp", plain.folder, plain.folder / "recording"),
                   "proxy+curve": Proxy("tcp", secured.folder, secured.folder / "recording", keys / "registry.key", keys / "admin.key")}
        ways = {what: (proxy.front, secured if "curve" in what else plain) for what, proxy in proxies.items()}
        ways |= {"espalier": (plain.router("tcp"), plain), "espalier+curve": (secured.router("tcp"), secured)}
        try:
            for window in options.windows:
                runs = {what: [] for what in ways}
                for _ in range(options.runs):
                    for what, (endpoint, cluster) in ways.items():
                        key = keys / "admin.key" if "curve" in what else None
                        runs[what].append(generate(endpoint, cluster.folder / "recording", window, options.seconds, key))
                found = {what: summary("tcp", window, what, runs[what]) for what in ways}
                secured_runs = found["espalier+curve"]
                note(secured_runs, "ratio", [a["rps"] / b["rps"] for a, b in zip(runs["espalier+curve"], runs["proxy+curve"])])
                if window == 1:
                    # Of the mean: percentiles are those of buckets a tenth apart.
                    note(secured_runs, "curve_round_trip", [b["rps"] / a["rps"] for a, b in zip(runs["espalier+curve"], runs["espalier"])])
                results += found.values()
                if options.json:
                    continue
                for result in found.values():
                    print_columns(line_of(result))
                print(f"{'':>17}  {spread(secured_runs, 'ratio')} of the proxy with CURVE" +
                      (f"; a round trip takes {spread(secured_runs, 'curve_round_trip')} times as long as without" if window == 1 else ""), flush=True)
        finally:
            for proxy in proxies.values():
                proxy.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transports", nargs="+", default=["ipc", "tcp"], choices=["ipc", "tcp"])
    parser.add_argument("--windows", nargs="+", type=int, default=[1, 64, 1024],
                        help="requests under way; with 1 the round trip of a single request is compared")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of each run, after half a second of warming up")
    parser.add_argument("--requests", type=int, default=512, help="different requests")
    parser.add_argument("--check", action="store_true",
                        help=f"fail where a round trip takes more than {MOST_ROUND_TRIP} times as long, or the rate is less than {LEAST_RATE} of the proxy's")
    parser.add_argument("--curve", action="store_true", help="compare with and without CURVE, over tcp; the two checks are then of what has it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.json:
        cores = "a core for the cluster, one for the generator" if pinned("0") else "nothing pinned"
        print(f"one row a request, {options.runs} runs of {options.seconds:g} s each, {cores}; every answer checked")
        print_columns(COLUMNS)
    results = []
    with tempfile.TemporaryDirectory(prefix="espalier-bench-") as folder:
        rides = pathlib.Path(folder) / "rides.csv"
        subprocess.run([BIN / "espalier", "sample-data", rides], check=True, stdout=subprocess.DEVNULL)
        if options.curve:
            measure_curve(rides, options, results)
        for transport in [] if options.curve else options.transports:
            measure(transport, rides, options, results)
    if options.json:
        print(json.dumps(results))
    if options.check:
        sys.exit(check(results))


def check(results):
    """What is slower than it may be; None where nothing is."""
    slow = []
    for result in results:
        place = f"{result['transport']}, {result['window']} under way"
        if result["window"] == 1 and result.get("round_trip", 0) > MOST_ROUND_TRIP:
            slow.append(f"{place}: a round trip takes {result['round_trip']:.2f} times the proxy's, at most {MOST_ROUND_TRIP}")
        if result["window"] == 1 and result.get("curve_round_trip", 0) > MOST_CURVE_ROUND_TRIP:
            slow.append(f"{place}: with CURVE a round trip takes {result['curve_round_trip']:.2f} times as long as without, at most {MOST_CURVE_ROUND_TRIP}")
        if result["window"] > 1 and result.get("ratio", 1) < LEAST_RATE:
            slow.append(f"{place}: {result['ratio']:.2f} of the proxy's rate, at least {LEAST_RATE}")
    return "\n".join(slow) or None


if __name__ == "__main__":
    main()
