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

    def call(self, op, members, bodies=()):
        self.asked.append((op, members))
        for point in members.get("metrics", []):
            if not math.isfinite(point["value"]):
                raise EspalierError(Code.INVALID_ARGUMENT, "metrics[0].value: NaN is not a number")
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

    def test_a_value_that_is_no_number_fails_the_run_with_its_error(self):
        registry = Taken()
        with self.assertRaises(EspalierError), registry.start_run("acme", "total") as run:
            run.log({"rmse": math.nan})
            run.flush()
        self.assertEqual(registry.ops(), ["run_start", "run_log", "run_end"])
        self.assertIn("NaN", registry.asked[-1][1]["message"])
        with self.assertRaises(ValueError):
            registry.start_run("acme", "total", params={"depth": math.nan})

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
