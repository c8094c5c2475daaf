"""Runs as the client writes them, without a registry: what is sent when, and how rows are made of records."""

import json
import math
import pathlib
import sys
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "client" / "python"))
from espalier import Code, EspalierError  # noqa: E402
from espalier.runs import RunOperations  # noqa: E402


class Taken(RunOperations):
    """Keeps what is asked; answers runs from `records`."""

    def __init__(self):
        self.asked = []
        self.records = {}
        self.failures = []  # of the next calls

    def call(self, op, members, bodies=()):
        self.asked.append((op, members))
        if self.failures:
            raise EspalierError(self.failures.pop(0), "not now")
        return {"runs": [self.records[run] for run in members["runs"]]} if op == "runs" else {}

    def ops(self):
        return [op for op, _ in self.asked]


class Runs(unittest.TestCase):
    def test_points_go_out_together(self):
        registry = Taken()
        with registry.start_run("acme", "total", params={"depth": 3}) as run:
            for step in range(1500):
                run.log({"rmse": step}, step=step)
        self.assertEqual(registry.ops(), ["run_start", "run_log", "run_log", "run_end"])
        self.assertEqual([len(members["metrics"]) for op, members in registry.asked if op == "run_log"], [1000, 500])
        self.assertEqual(json.loads(registry.asked[0][1]["params_json"]), {"depth": 3})
        self.assertEqual(registry.asked[-1][1]["status"], 1)
        self.assertEqual(len({members["idem"] for _, members in registry.asked}), 4)

    def test_a_run_that_was_ended_is_not_ended_again(self):
        registry = Taken()
        with registry.start_run("acme", "total") as run:
            run.end(failed=True, message="no disk")
        self.assertEqual(registry.ops(), ["run_start", "run_end"])
        self.assertEqual(registry.asked[-1][1]["status"], 2)

    def test_a_value_that_is_no_number_fails_the_run_and_loses_no_other(self):
        registry = Taken()
        for value in (math.nan, math.inf, -math.inf):
            registry.asked.clear()
            with self.assertRaises(EspalierError) as raised, registry.start_run("acme", "total") as run:
                run.log({"rmse": 1}, step=1)
                run.log({"mae": 2, "rmse": value}, step=2)
            self.assertEqual(raised.exception.code, Code.INVALID_ARGUMENT)
            self.assertIn("metrics.rmse", raised.exception.message)
            self.assertEqual(registry.ops(), ["run_start", "run_log", "run_end"])
            self.assertEqual([(point["name"], point["step"]) for point in registry.asked[1][1]["metrics"]], [("rmse", 1)])
            self.assertIn("metrics.rmse", registry.asked[-1][1]["message"])
        with self.assertRaises(ValueError):
            registry.start_run("acme", "total", params={"depth": math.nan})

    def test_points_stay_until_the_registry_answers_and_go_out_as_they_were(self):
        for code in (Code.UNAVAILABLE, Code.OVERLOADED, Code.DEADLINE_EXCEEDED):
            registry = Taken()
            run = registry.start_run("acme", "total")
            run.log({"rmse": 1}, step=1)
            registry.failures = [code]
            with self.assertRaises(EspalierError):
                run.end()
            run.log({"rmse": 2}, step=2)
            run.end()
            self.assertEqual(registry.ops(), ["run_start", "run_log", "run_log", "run_log", "run_end"])
            logs = [members for op, members in registry.asked if op == "run_log"]
            self.assertEqual(logs[0], logs[1], "the same points with the same idem")
            self.assertNotEqual(logs[1]["idem"], logs[2]["idem"])
            self.assertEqual([point["step"] for log in logs[1:] for point in log["metrics"]], [1, 2])

    def test_an_end_without_an_answer_is_asked_for_again(self):
        registry = Taken()
        run = registry.start_run("acme", "total")
        registry.failures = [Code.UNAVAILABLE]
        with self.assertRaises(EspalierError):
            run.end()
        run.end()
        self.assertEqual(registry.ops(), ["run_start", "run_end", "run_end"])
        self.assertEqual(registry.asked[1], registry.asked[2])

    def test_points_that_are_refused_are_not_sent_again(self):
        registry = Taken()
        run = registry.start_run("acme", "total")
        run.log({"rmse": 1}, step=1)
        registry.failures = [Code.INVALID_ARGUMENT]
        with self.assertRaises(EspalierError):
            run.flush()
        run.end()
        self.assertEqual(registry.ops(), ["run_start", "run_log", "run_end"])

    def test_rows_have_the_same_columns(self):
        registry = Taken()
        first, second = uuid.uuid4(), uuid.uuid4()
        registry.records = {
            first.bytes: {"run": first.bytes, "name": "a", "params_json": '{"l2":{"city":0.5},"seed":1}', "metrics": {"rmse": {"value": 3.0}}},
            second.bytes: {"run": second.bytes, "status": 2, "params_json": '{"seed":2}', "metrics": {"mae": {}}},
        }
        rows = registry.compare_runs("acme", [first, second])
        self.assertEqual(rows, [
            {"run": first, "name": "a", "status": "running", "params.l2.city": 0.5, "params.seed": 1, "metrics.mae": None, "metrics.rmse": 3.0},
            {"run": second, "name": "", "status": "failed", "params.l2.city": None, "params.seed": 2, "metrics.mae": 0.0, "metrics.rmse": None},
        ])
        self.assertEqual(len({tuple(row) for row in rows}), 1)


if __name__ == "__main__":
    unittest.main()
