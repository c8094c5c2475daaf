"""Histories move from one cluster to another: predictions and everything that was ever said stay as they were."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, ROOT, Cluster, Failed, Wire, wait_until  # noqa: E402

sys.path.insert(0, str(ROOT / "client" / "python"))
from espalier import EspalierError, Registry  # noqa: E402

MODEL = "acme/duration"
NODES = ["", "france", "france/paris", "japan/tokyo", "brazil/recife", "nowhere/at"]


def utc(time_us):
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time_us // 1_000_000))
    return f"{moment}.{time_us % 1_000_000:06d}"


def without_epochs(value):
    """What a registry says, but for the epochs, which are its own."""
    if isinstance(value, dict):
        return {key: without_epochs(inner) for key, inner in value.items() if "epoch" not in key and key != "generation"}
    return [without_epochs(inner) for inner in value] if isinstance(value, list) else value


def told(cluster, *as_of):
    """All that the registry says of the model."""
    said = [cluster.json("versions", MODEL, *as_of), cluster.json("release", "list", MODEL, *as_of), cluster.json("tags", MODEL, *as_of)]
    for tag in ("production", "next"):
        if tag in [t["tag"] for t in said[2]]:
            said.append(cluster.json("tags", MODEL, "--tag", tag, *as_of))
            said.append(cluster.json("tags", "history", MODEL, "--tag", tag, *as_of))
    return without_epochs(said)


def answers(cluster, ref="tag:production"):
    said = []
    for node in NODES:
        answer = cluster.json("predict", f"{MODEL}@{node}" if node else MODEL, "--ref", ref, "--row", json.dumps({"distance_km": 5}))
        provenance = answer["provenance"]
        said.append([answer["predictions"], *(provenance[name] for name in ("version", "served", "reason", "release"))])
    return said


def wait_until_served(cluster):
    with Wire(cluster.registry()) as wire:
        epoch = wire.ask({"v": 1, "op": "hello"})[0]["epoch"]
        reply, _ = wire.ask({"v": 1, "op": "wait", "epoch": epoch, "wait_us": 30_000_000}, seconds=40)
    assert reply["served"], reply


class Moving(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.source = Cluster(shards=2).__enter__()
        cls.addClassCleanup(cls.source.__exit__, None, None, None)
        cls.rides = cls.source.folder / "rides.csv"
        cls.source.run("sample-data", cls.rides, "--rows", 4000)
        spec = ROOT / "examples" / "rides.toml"
        for seed, tag in enumerate(["production", "next", "production", "next", "production"]):
            cls.source.train(spec, cls.rides, tag=tag, property=f"seed={seed}")
        # A run of its own beside those of the trainings, which goes on where it is taken.
        with Registry(cls.source.registry()) as registry:
            run = registry.start_run("acme", "duration", name="by hand", params={"depth": 7, "l2": {"city": 0.5}})
            for step in range(1, 1501):
                run.log({"rmse": 100 / step, "mae": 1.0}, step=step)
            run.attach("notes.txt", b"old")
            run.attach("notes.txt", b"new" * 100_000)
            run.flush()
            cls.by_hand = str(run.run)
        releases = cls.source.json("release", "list", MODEL)
        cls.source.run("rollback", MODEL, "--to", releases[-1]["release"])
        cls.source.run("retention", "set", MODEL, "--keep-last", 2, "--keep-tagged", "production")
        cls.source.run("collect", "acme")
        cls.file = cls.source.folder / "duration.espalier"
        cls.exported = cls.source.json("registry", "export", MODEL, "--to", cls.file)

    def refused(self, cluster, *words):
        with self.assertRaises(Failed) as raised:
            cluster.run(*words)
        return raised.exception.errors

    def expect_equal(self, target, but=()):
        wait_until_served(target)
        self.assertEqual(answers(target), answers(self.source))
        self.assertEqual(answers(target, "tag:next"), answers(self.source, "tag:next"))
        self.assertEqual(told(target), told(self.source))
        releases = self.source.json("release", "list", MODEL)
        for release in releases:
            for moment in (release["time_us"], release["time_us"] - 1):
                if moment < releases[-1]["time_us"]:
                    self.assertIn("not_found", self.refused(target, "tags", MODEL, "--as-of", utc(moment)))
                else:
                    self.assertEqual(told(target, "--as-of", utc(moment)), told(self.source, "--as-of", utc(moment)))
        for where in ("properties.seed = '2'", "metrics.rmse > 0", f"created <= '{utc(releases[2]['time_us'])}'"):
            words = ["search", "versions", where, "--tenant", "acme", "--model", "duration", "--order", "created, version"]
            found = self.source.json(*words)
            self.assertEqual(without_epochs(target.json(*words)), without_epochs(found))
        self.expect_equal_runs(target, but)
        self.assertTrue(target.json("registry", "check")["clean"])

    def expect_equal_runs(self, target, but):
        runs = self.source.json("run", "list", MODEL)
        self.assertEqual(len(runs), 6)
        self.assertEqual(without_epochs(target.json("run", "list", MODEL)), without_epochs(runs))
        for where in ("params.depth = 7", "status = 'finished'", "metrics.rmse > 0"):
            words = ["run", "list", MODEL, "--where", where, "--order", "metrics.rmse, run"]
            self.assertEqual(without_epochs(target.json(*words)), without_epochs(self.source.json(*words)))
        for run in runs:
            self.assertEqual(target.json("run", "log", "acme", run["run"]), self.source.json("run", "log", "acme", run["run"]))
        self.assertEqual(target.run("run", "compare", MODEL, "--all"), self.source.run("run", "compare", MODEL, "--all"))
        self.assertEqual(target.run("run", "files", "acme", self.by_hand, "--get", "notes.txt"), "new" * 100_000)
        moment = utc(runs[2]["created_us"])
        words = ["search", "runs", "metrics.rmse > 0", "--tenant", "acme", "--model", "duration", "--as-of", moment]
        self.assertEqual(without_epochs(target.json(*words)), without_epochs(self.source.json(*words)))
        for dataset in self.source.json("dataset", "list", "acme"):
            shown = self.source.json("dataset", "show", "acme", dataset["dataset"])
            moved = target.json("dataset", "show", "acme", dataset["dataset"])
            for name in but:
                self.assertNotEqual(moved.pop(name), shown.pop(name))
            self.assertEqual(without_epochs(moved), without_epochs(shown))

    def test_a_model_moves_with_its_whole_history(self):
        with Cluster(shards=2) as target:
            target.train(ROOT / "examples" / "rides.toml", self.rides, tenant="zeta")
            before = target.json("tags", "zeta/duration", "--tag", "production")
            epoch = target.json("release", "list", "zeta/duration")[0]["epoch"]
            looked = target.json("registry", "import", "--from", self.file, "--dry-run")
            history = looked["histories"][0]
            self.assertEqual((history["state"], history["conflict"], history["verified"]), ("absent", "", False))
            self.assertEqual(history["versions"], len(self.source.json("versions", MODEL)))
            self.assertEqual(history["releases"], 6)
            self.assertEqual((history["runs"], history["datasets"]), (6, 1))
            self.assertGreaterEqual(history["points"], 3000)
            self.assertGreater(history["without_artefact"], 0)
            self.assertEqual(looked["artefacts"], self.exported["artefacts"])
            self.assertIn("not_found", self.refused(target, "versions", MODEL))

            imported = target.json("registry", "import", "--from", self.file)
            self.assertTrue(imported["histories"][0]["verified"])
            self.expect_equal(target)
            # What was, is: as of an epoch of before the model isn't there.
            self.assertIn("not_found", self.refused(target, "tags", MODEL, "--as-of", epoch))
            self.assertEqual(target.json("tags", "zeta/duration", "--tag", "production", "--as-of", epoch), before)
            receipt = target.json("collect", "--receipt", imported["histories"][0]["receipt"], "acme")
            self.assertEqual((receipt["kind"], receipt["version_count"]), ("import", history["versions"]))

            again = target.json("registry", "import", "--from", self.file)
            self.assertEqual(again["histories"][0]["epoch"], imported["histories"][0]["epoch"])
            back = target.folder / "back.espalier"
            target.run("registry", "export", "acme", "--to", back)
            with Cluster(shards=1) as third:
                moved = third.json("registry", "import", "--from", back)
                self.assertEqual(moved["histories"][0]["history"], history["history"])
            # It goes on as any other.
            target.train(ROOT / "examples" / "rides.toml", self.rides)
            self.assertEqual(len(target.json("release", "list", MODEL)), 7)
            self.assertTrue(target.json("registry", "check")["clean"])

    def test_an_import_that_was_killed_is_run_again(self):
        with Cluster(shards=1) as target, Wire(target.registry()) as wire:
            look = {"v": 1, "op": "import", "tenant": "acme", "model": "duration"}
            name = target.json("registry", "import", "--from", self.file, "--dry-run")["histories"][0]["history"]
            look["history"] = bytes.fromhex(name)
            importing = subprocess.Popen([BIN / "espalier", "registry", "import", "--from", self.file],
                                         env={**os.environ, "ESPALIER_CLUSTER": str(target.dir)})

            # It gets on by little bursts, so that it is caught in between.
            def is_half_way():
                importing.send_signal(signal.SIGCONT)
                importing.send_signal(signal.SIGSTOP)
                self.assertIsNone(importing.poll())
                return wire.ask(look)[0].get("records", 0) > 0

            wait_until(is_half_way, what="some records")
            importing.kill()
            importing.wait()
            reply = wire.ask(look)[0]
            self.assertEqual(reply["state"], 1)
            self.assertIn("not_found", self.refused(target, "versions", MODEL))
            self.assertEqual(target.json("run", "list", MODEL), [])
            self.assertEqual(target.json("dataset", "list", "acme"), [])
            with Registry(target.registry()) as registry, self.assertRaises(EspalierError) as raised:
                registry.start_run("acme", "duration", name="too early")
            self.assertIn("is being imported", str(raised.exception))
            self.assertIn("is being imported", self.refused(target, "train", ROOT / "examples" / "rides.toml", "--data", self.rides,
                                                            "--tenant", "acme"))
            self.assertTrue(target.json("registry", "check")["clean"])
            registry = target.processes("registry")[0]["pid"]
            os.kill(registry, signal.SIGKILL)
            wait_until(lambda: target.processes("registry")[0]["pid"] != registry, what="another registry")
            imported = target.json("registry", "import", "--from", self.file)
            self.assertTrue(imported["histories"][0]["verified"])
            # The training that was refused had put the dataset already: that one stays.
            self.expect_equal(target, but=["created_us"])

    def test_what_cannot_be_taken_is_refused_and_changes_nothing(self):
        content = self.file.read_bytes()
        with Cluster(shards=1) as target:
            target.train(ROOT / "examples" / "rides.toml", self.rides)
            before = told(target)
            errors = self.refused(target, "registry", "import", "--from", self.file)
            self.assertIn("already_exists: model acme/duration is there, with a history of its own; nothing was changed", errors)
            with self.assertRaises(Failed) as raised:
                target.run("registry", "import", "--from", self.file, "--dry-run")
            self.assertIn("conflict: model acme/duration is there", raised.exception.output)
            self.assertEqual(told(target), before)

            cut = target.folder / "cut.espalier"
            cut.write_bytes(content[:-1000])
            errors = self.refused(target, "registry", "import", "--from", cut)
            self.assertIn(f"byte {len(content) - 1000}: the archive is cut short", errors)
            flipped = bytearray(content)
            flipped[2000] ^= 4
            cut.write_bytes(flipped)
            self.assertIn("byte 96: the checksum of block 0 doesn't hold", self.refused(target, "registry", "import", "--from", cut))
            self.assertIn("not_found", self.refused(target, "registry", "import", "--from", target.folder / "none"))
            self.assertIn("already_exists", self.refused(target, "registry", "export", MODEL, "--to", cut))
            self.assertIn("not_found", self.refused(target, "registry", "export", "acme/none", "--to", target.folder / "new"))
            self.assertFalse((target.folder / "new").exists())
            whole = target.folder / "whole.espalier"
            target.run("registry", "backup", "--to", whole)
            self.assertIn("espalier registry restore", self.refused(target, "registry", "import", "--from", whole))
            self.assertIn("espalier registry import",
                          self.refused(target, "registry", "restore", "--from", self.file, "--dir", target.folder / "new"))
            self.assertFalse((target.folder / "new").exists())
            self.assertEqual(told(target), before)

    def test_a_table_of_versions_becomes_a_history(self):
        spec = ROOT / "examples" / "rides.toml"
        with Cluster(shards=1) as target, Wire(self.source.registry()) as wire:
            serving = self.source.json("tags", MODEL, "--tag", "production")
            versions = {v["version"]: v for v in self.source.json("versions", MODEL)}
            lines = ["country,city,created,metrics.rmse,params.l2,properties.owner,file,tag"]
            for number, entry in enumerate(serving):
                version = versions[entry["version"]]
                reply, bodies = wire.ask({"v": 1, "op": "fetch", "tenant": "acme", "artefacts": [bytes.fromhex(version["artefact"])]})
                self.assertEqual(reply["answered"], 1)
                (target.folder / f"{number}.artefact").write_bytes(bodies[0])
                node = (version["partition"] + ["", ""])[:2]
                lines.append(f"{node[0]},{node[1]},2026-02-01 10:00,{version['metrics']['rmse']},1,eta,{number}.artefact,production")
                lines.append(f"{node[0]},{node[1]},2026-01-01,{version['metrics']['rmse'] + 1},2,zeta,,")
            table = target.folder / "table.csv"
            table.write_text("\n".join(lines) + "\n")
            words = ["registry", "import-history", table, "--tenant", "acme", "--model", "duration", "--spec", spec]
            looked = target.json(*words, "--dry-run")["histories"][0]
            self.assertEqual((looked["versions"], looked["without_artefact"]), (2 * len(serving), len(serving)))
            self.assertIn("not_found", self.refused(target, "versions", MODEL))
            self.assertTrue(target.json(*words)["histories"][0]["verified"])
            wait_until_served(target)
            values = [[answer[0], answer[2], answer[3]] for answer in answers(target)]
            self.assertEqual(values, [[answer[0], answer[2], answer[3]] for answer in answers(self.source)])
            found = target.json("search", "versions", "properties.owner = 'zeta' and params.l2 = 2", "--tenant", "acme")
            self.assertEqual(len(found), len(serving))
            self.assertEqual(target.json("tags", MODEL, "--tag", "imported", "--as-of", "2026-01-15"), [])
            without = next(v for v in target.json("versions", f"{MODEL}@france/paris") if v["collected_us"] != 0)
            self.assertIn("was collected", self.refused(target, "tag", "set", f"{MODEL}@france/paris", "--version", without["version"]))
            self.assertTrue(target.json("registry", "check")["clean"])
            self.assertEqual(target.json(*words)["histories"][0]["state"], "there")

            table.write_text("created,city\n2026-01-01,paris\nyesterday,paris\n")
            errors = self.refused(target, *words)
            self.assertIn(f"{table}:3: column created: 'yesterday' is no time in UTC", errors)
            table.write_text("created,colour\n2026-01-01,red\n")
            self.assertIn(f"{table}:1: column colour: not one of a history's", self.refused(target, *words))
            table.write_text("created\n2026-01-01\n")
            self.assertIn("was imported with another history", self.refused(target, *words))
            # It is trained on from here.
            target.train(spec, self.rides)
            self.assertTrue(target.json("registry", "check")["clean"])

    def test_an_unfinished_import_is_abandoned_by_its_models_name(self):
        with Cluster(shards=1) as target, Wire(target.registry()) as wire:
            table = target.folder / "table.csv"
            table.write_text("created\n2026-01-01\n2026-02-01\n")
            words = ["registry", "import-history", table, "--tenant", "acme", "--model", "duration", "--spec", ROOT / "examples" / "rides.toml"]
            begin = {"v": 1, "op": "import", "idem": bytes(range(16)), "tenant": "acme", "model": "duration", "history": b"h" * 32, "step": 1,
                     "times": [1_700_000_000_000_000]}
            self.assertEqual(wire.ask(begin)[0]["state"], 1)
            self.assertIn("another history is under way", self.refused(target, *words))
            self.assertEqual(target.json("registry", "import", "--abandon", "acme/duration"), {"abandoned": ["acme/duration"]})
            self.assertTrue(target.json(*words)["histories"][0]["verified"])
            self.assertIn("the import is finished", self.refused(target, "registry", "import", "--abandon", "acme/duration"))
            for wrong in (["--abandon"], ["acme/duration"], ["--abandon", "acme"], ["--abandon", "acme/duration", "--from", self.file], []):
                self.refused(target, "registry", "import", *wrong)

    def test_a_stopped_registry_is_exported_as_a_running_one(self):
        with Cluster(shards=1) as target:
            target.run("registry", "import", "--from", self.file)
            self.assertIn("--to", self.refused(target, "registry", "export", MODEL))
            running = target.json("registry", "export", MODEL, "--dry-run")
            self.assertEqual(target.json("registry", "export", MODEL, "--to", target.folder / "a", "--dry-run")["records"], running["records"])
            self.assertFalse((target.folder / "a").exists())
            target.stop()
            file = target.folder / "b"
            stopped = target.json("registry", "export", MODEL, "--to", file, "--dir", target.dir / "registry")
            for name in ("records", "artefacts", "artefact_bytes", "epoch"):
                self.assertEqual(stopped[name], running[name])
            target.start()
            self.assertEqual(target.json("registry", "import", "--from", file)["histories"][0]["state"], "there")


if __name__ == "__main__":
    unittest.main()
