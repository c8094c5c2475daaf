"""Runs: written from Python, told, compared and found by the commands; and what is refused."""

import json
import math
import os
import pathlib
import re
import signal
import sys
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import ROOT, Cluster, Failed  # noqa: E402

sys.path.insert(0, str(ROOT / "client" / "python"))
from espalier import Code, EspalierError, Registry  # noqa: E402


class Runs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=1).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.registry = Registry(cls.cluster.registry()).__enter__()
        cls.addClassCleanup(cls.registry.__exit__, None, None, None)

    def assert_narrow(self, text):
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80, line)

    def test_many_runs_stand_in_one_table(self):
        made = []
        for depth in (3, 5, 7):
            with self.registry.start_run("table", "total", name=f"depth {depth}", params={"depth": depth, "seed": 1, "l2": {"city": 0.5}},
                                         properties={"owner": "eta"}) as run:
                for step in range(1, 2001):
                    run.log({"rmse": 100 / (depth * step)}, step=step)
                run.attach("notes.txt", b"tried depth %d" % depth)
            made.append(run.run)
        rows = self.registry.compare_runs("table", made)
        self.assertEqual([row["params.depth"] for row in rows], [3, 5, 7])
        self.assertEqual(rows[0]["metrics.rmse"], 100 / 6000)
        self.assertEqual(list(rows[0]), ["run", "name", "status", "params.depth", "params.l2.city", "params.seed", "metrics.rmse"])
        self.assertEqual([row["run"] for row in self.registry.compare_runs("table", order="metrics.rmse")], made[::-1])
        points = list(self.registry.run_metrics("table", made[1], "rmse"))
        self.assertEqual([point["step"] for point in points], list(range(1, 2001)))
        table = self.cluster.run("run", "compare", "table", *made)
        self.assert_narrow(table)
        self.assertIn("params.depth", table)
        self.assertNotIn("params.seed", table)
        self.assertIn("2 parameters are the same in all", table)
        self.assertIn("params.seed", self.cluster.run("run", "compare", "table", "--where", "params.depth > 3", "--all"))
        listed = self.cluster.json("run", "list", "table/total", "--where", "metrics.rmse < 0.015 and properties.owner = 'eta'")
        self.assertEqual([run["run"] for run in listed], [str(run) for run in made[:0:-1]])
        shown = self.cluster.json("run", "show", "table", made[0])
        self.assertEqual((shown["params"]["depth"], shown["metrics"]["rmse"]["count"], shown["status"]), (3, 2000, "finished"))
        self.assertEqual(len(self.cluster.json("run", "log", "table", made[0], "--metric", "rmse")), 2000)
        self.assertEqual(self.cluster.run("run", "files", "table", made[2], "--get", "notes.txt"), "tried depth 7")
        for command in (("list", "table"), ("show", "table", made[0]), ("files", "table", made[0])):
            self.assert_narrow(self.cluster.run("run", *command))
        self.assertEqual(len(self.cluster.json("search", "runs", "--tenant", "table")), 3)

    def test_what_differs_beyond_what_a_table_shows_is_compared_all_the_same(self):
        made = []
        for name, path, rate in (("the same long name, first", "s3://a-long-bucket/a.csv", 0.1), ("the same long name, second", "s3://a-long-bucket/b.csv", 0.10000001)):
            with self.registry.start_run("alike", "total", name=name, params={"path": path, "rate": rate, "seed": 1}) as run:
                run.log({"rmse": 1})
            made.append(run.run)
        table = self.cluster.run("run", "compare", "alike", *made)
        self.assert_narrow(table)
        for text in ("params.path", "/a.csv", "/b.csv", "params.rate", "0.10000001", "1 parameter is the same in all"):
            self.assertIn(text, table)
        for run in made:
            self.assertIn(str(run)[-12:], table.splitlines()[0])

    def test_runs_of_another_model_are_not_compared(self):
        own, other = (self.registry.start_run("models", model) for model in ("total", "other"))
        for run in (own, other):
            run.end()
        self.cluster.run("run", "compare", "models/total", own.run)
        self.cluster.run("run", "compare", "models", own.run, other.run)
        with self.assertRaises(Failed) as refused:
            self.cluster.run("run", "compare", "models/total", own.run, other.run)
        self.assertIn(f"not runs of models/total: {other.run} is one of models/other", refused.exception.errors)

    def test_points_wait_for_a_registry_that_is_away(self):
        with Registry(self.cluster.registry(), timeout_s=0.2) as registry:
            run = registry.start_run("away", "total")
            run.log({"rmse": 1}, step=1)
            pid = self.cluster.processes("registry")[0]["pid"]
            os.kill(pid, signal.SIGSTOP)
            try:
                with self.assertRaises(EspalierError) as late:
                    run.end()
                self.assertEqual(late.exception.code, Code.UNAVAILABLE)
            finally:
                os.kill(pid, signal.SIGCONT)
            run.log({"rmse": 2}, step=2)
            self.registry.runs("away", [run.run])  # it answers again
            run.end()
        self.assertEqual([point["step"] for point in self.registry.run_metrics("away", run.run)], [1, 2])

    def train(self, tenant, spec, *more):
        lines = self.cluster.run("train", spec, "--data", self.rides(), "--tenant", tenant, *more, "--json").splitlines()
        return json.loads(lines[-1])["tenants"][0]

    def rides(self):
        path = self.cluster.folder / "rides.csv"
        if not path.exists():
            self.cluster.run("sample-data", path, "--rows", 2000)
        return path

    def test_two_trainings_stand_in_one_table_and_one_is_taken_back(self):
        strong = self.cluster.folder / "strong.toml"
        spec = (ROOT / "examples" / "rides.toml").read_text()
        strong.write_text(re.sub(r"(?m)^l2 = .*", "l2 = 1000", spec))
        first = self.train("trained", ROOT / "examples" / "rides.toml", "--run-name", "weak", "--property", "owner=eta")
        second = self.train("trained", strong, "--run-name", "strong")
        weak, hard = self.cluster.json("run", "compare", "trained", first["run"], second["run"])
        self.assertEqual((weak["name"], hard["name"]), ("weak", "strong"))
        self.assertEqual({run["status"] for run in (weak, hard)}, {"finished"})
        self.assertEqual(hard["params"]["l2"], {"global": 1000, "country": 1000, "city": 1000})
        self.assertNotEqual(weak["spec"], hard["spec"])
        self.assertLess(weak["metrics"]["rmse"]["value"], hard["metrics"]["rmse"]["value"])
        for name in ("rmse.global", "rmse.city", "seconds.read", "seconds.fit", "nodes"):
            self.assertIn(name, weak["metrics"])
        self.assertEqual(weak["metrics"]["rows"]["value"], weak["metrics"]["rows.global"]["value"], "each held-out row once")
        table = self.cluster.run("run", "compare", "trained", "--order", "metrics.rmse")
        self.assert_narrow(table)
        self.assertRegex(table, r"run +weak +strong")
        self.assertRegex(table, r"params.l2.city +\S+ +1000")
        of_first = self.cluster.json("search", "versions", f"run = '{first['run']}'", "--tenant", "trained")
        self.assertEqual(len(of_first), first["nodes"])
        self.assertEqual({version["lineage"]["data"]["dataset"] for version in of_first}, {weak["dataset"]})
        self.assertEqual(len(self.cluster.json("run", "list", "trained/duration", "--where", "properties.owner = 'eta'")), 1)
        self.cluster.run("rollback", "trained/duration", "--where", f"run = '{second['run']}'")
        now = self.registry.tag_entries("trained", "duration")
        self.assertEqual({str(entry["version"]) for entry in now}, {version["version"] for version in of_first})

    def test_a_training_records_its_dataset(self):
        trained = self.train("rows", ROOT / "examples" / "rides.toml")
        (listed,) = self.cluster.json("dataset", "list", "rows", "--where", "source = 'rides.csv'")
        self.assertEqual((listed["dataset"], listed["rows"]), (trained["dataset"], 2000))
        self.assertEqual(listed["dataset"], listed["file"], "all rows of the file")
        shown = self.cluster.json("dataset", "show", "rows", trained["dataset"][:10])
        columns = {column["name"]: column for column in shown["columns"]}
        self.assertEqual(columns["city"]["count"] + columns["city"]["missing"], 2000)
        self.assertGreater(columns["distance_km"]["max"], columns["distance_km"]["mean"])
        self.assertTrue(columns["country"]["top"])
        self.assert_narrow(self.cluster.run("dataset", "list", "rows"))
        self.assert_narrow("\n".join(self.cluster.run("dataset", "show", "rows", trained["dataset"]).splitlines()[1:]))
        self.train("rows", ROOT / "examples" / "rides.toml")
        self.assertEqual(len(self.cluster.json("dataset", "list", "rows")), 1, "the same rows are the same dataset")
        part = self.train("rows", ROOT / "examples" / "rides.toml", "--where", "distance_km > 2")
        self.assertEqual(len(self.cluster.json("dataset", "list", "rows")), 2)
        found = list(self.registry.search("datasets", f"dataset = '{part['dataset']}'", tenant="rows"))
        self.assertEqual([dataset["where"] for dataset in found], ["distance_km > 2"])
        self.assertEqual(len(list(self.registry.search("runs", f"dataset = '{trained['dataset']}'", tenant="rows"))), 2)
        for words, says in ((("show", "rows", "abc"), "first 8 digits"), (("show", "rows", "0" * 64), "dataset 000"),
                            (("show", "other", trained["dataset"]), "dataset "), (("list", "rows", "--where", "row > 1"), "did you mean 'rows'")):
            with self.subTest(words=words), self.assertRaises(Failed) as refused:
                self.cluster.run("dataset", *words)
            self.assertIn(says, refused.exception.errors)

    def test_slices_stand_in_the_versions(self):
        spec = self.cluster.folder / "slices.toml"
        spec.write_text((ROOT / "examples" / "rides.toml").read_text() + '\n[evaluation]\nslices = ["vehicle"]\n')
        self.train("sliced", spec)
        for version in self.cluster.json("search", "versions", "metrics.rmse > 0", "--tenant", "sliced"):
            slices = version["metrics"]["slices"]["vehicle"]
            self.assertEqual(sum(metrics["rows"] for metrics in slices.values()), version["metrics"]["rows"])
        self.assertNotIn("slices", self.cluster.run("versions", "sliced/duration"))

    def test_a_training_that_fails_leaves_a_failed_run(self):
        self.train("failed", ROOT / "examples" / "rides.toml")
        with self.assertRaises(Failed):
            self.train("failed", ROOT / "examples" / "rides.toml", "--if-release", uuid.uuid4(), "--run-name", "late")
        (run,) = self.cluster.json("run", "list", "failed", "--where", "status = 'failed'")
        self.assertEqual(run["name"], "late")
        self.assertIn("release", run["message"])
        self.assertEqual(self.cluster.json("search", "versions", f"run = '{run['run']}'", "--tenant", "failed"), [])

    def test_a_block_that_raises_leaves_a_failed_run(self):
        with self.assertRaises(ZeroDivisionError), self.registry.start_run("failing", "total") as run:
            run.log({"rmse": 1}, step=1)
            run.log({"rmse": 1 / 0}, step=2)
        (record,) = self.registry.runs("failing", [run.run])
        self.assertEqual((record["status"], record["message"]), ("failed", "ZeroDivisionError: division by zero"))
        self.assertEqual(record["metrics"]["rmse"]["step"], 1)
        self.assertEqual(len(self.cluster.json("run", "list", "failing", "--where", "status = 'failed'")), 1)

    def test_what_is_wrong_is_refused_with_its_place(self):
        run = self.registry.start_run("wrong", "total", params={"depth": 3})
        for attempt, code, says in (
            (lambda: self.registry.log_run("wrong", run.run, [{"name": "a", "value": 1.0}, {"name": "rmse", "value": math.nan}]),
             Code.INVALID_ARGUMENT, "metrics[1].value: NaN"),
            (lambda: self.registry.log_run("wrong", run.run, [{"name": "rmse", "value": math.inf}]), Code.INVALID_ARGUMENT, "metrics[0].value"),
            (lambda: run.set_params({"depth": 4}), Code.FAILED_PRECONDITION, "depth is 3 already"),
            (lambda: run.attach("big", b"x" * (4 << 20 | 1)), Code.INVALID_ARGUMENT, "at most 4194304"),
            (lambda: self.registry.run_file("wrong", run.run, "none"), Code.NOT_FOUND, "file none"),
            (lambda: self.registry.runs("other", [run.run]), Code.NOT_FOUND, "run "),
            (lambda: self.registry.start_run("wrong", "total", run=run.run), Code.ALREADY_EXISTS, "run "),
        ):
            with self.subTest(says=says), self.assertRaises(EspalierError) as refused:
                attempt()
            self.assertEqual(refused.exception.code, code)
            self.assertIn(says, str(refused.exception))
        run.end()
        with self.assertRaises(EspalierError) as refused:
            run.end()
        self.assertEqual(refused.exception.code, Code.FAILED_PRECONDITION)
        for words, says in (
            (("list", "wrong", "--where", "metrics_rmse < 5"), "did you mean 'metrics.rmse'"),
            (("show", "wrong", str(uuid.uuid4())), "run "),
            (("show", "wrong", "R17"), "run: a UUID is written"),
            (("compare", "wrong", str(run.run), "--where", "depth > 1"), "excludes"),
            (("files", "wrong", str(run.run), "--get", "none"), "file none"),
        ):
            with self.subTest(words=words), self.assertRaises(Failed) as refused:
                self.cluster.run("run", *words)
            self.assertIn(says, refused.exception.errors + refused.exception.output)
        self.assertEqual(list(self.registry.run_metrics("wrong", run.run)), [])

    def test_runs_are_of_the_registry_as_everything_else(self):
        with self.registry.start_run("kept", "total", params={"depth": 3}) as run:
            run.log({"rmse": 1}, step=1)
            run.attach("f", b"content")
        self.assertTrue(self.cluster.json("registry", "check")["clean"])
        as_of = self.cluster.json("run", "list", "kept", "--as-of", "2020-01-01")
        self.assertEqual(as_of, [])
        self.assertEqual(json.loads(self.cluster.run("run", "files", "kept", run.run, "--json"))[0]["bytes"], 7)


if __name__ == "__main__":
    unittest.main()
