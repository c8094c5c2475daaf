"""Runs as the registry's clients write and compare them: docs/runs.md has the rules."""

from __future__ import annotations

import json
import math
import time
import uuid
from types import TracebackType
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Type, Union

from .errors import Code, EspalierError

FINISHED, FAILED = 1, 2
_STATUS = ("running", "finished", "failed")

#: Points that a Run keeps before it sends them.
_KEPT_POINTS = 1000

#: What was asked may have been done, or may be done when it is asked again.
_ASK_AGAIN = (Code.OVERLOADED, Code.DEADLINE_EXCEEDED, Code.UNAVAILABLE)

Metrics = Mapping[str, Union[int, float]]


class RunOperations:
    """What Registry has for runs. Changes are made once, however often they are sent. UUIDs are uuid.UUID both ways."""

    def call(self, op: str, members: Dict[str, Any], bodies: Sequence[bytes] = ()) -> Dict[str, Any]:
        raise NotImplementedError

    def search(self, kind: str, where: str = "", *, tenant: str = "", model: str = "", order: str = "", epoch: int = 0,
               time_us: int = 0, limit: Optional[int] = None, page: int = 1000) -> Iterator[Dict[str, Any]]:
        raise NotImplementedError

    def start_run(self, tenant: str, model: str, *, name: str = "", params: Optional[Mapping[str, Any]] = None,
                  properties: Optional[Mapping[str, str]] = None, description: str = "", run: Optional[uuid.UUID] = None) -> "Run":
        """Starts a run, to be used as a context manager or ended by end().

            with registry.start_run("acme", "total", params={"depth": 3}) as run:
                for step in range(10):
                    run.log({"rmse": fit(step)}, step=step)

        Args:
            run: its UUID; a new one by default.

        Raises:
            EspalierError: ALREADY_EXISTS where there is a run of that UUID.
        """
        of = run or uuid.uuid4()
        self._change_run("run_start", tenant, of, {"model": model, "name": name, "description": description, "properties": dict(properties or {}),
                                                   "params_json": _json(params)})
        return Run(self, tenant, of)

    def log_run(self, tenant: str, run: uuid.UUID, points: Sequence[Mapping[str, Any]] = (), *,
                params: Optional[Mapping[str, Any]] = None, idem: Optional[uuid.UUID] = None) -> None:
        """Adds points, each `name`, `value`, `step` and, if it isn't the registry's, `time_us`; and parameters.

        Args:
            idem: names this change; a new one by default. The same again, where no answer came, adds nothing twice.

        Raises:
            EspalierError: INVALID_ARGUMENT names the point whose value is NaN or infinite; nothing is logged then.
                FAILED_PRECONDITION where the run has ended, or a parameter is set already.
        """
        self._change_run("run_log", tenant, run, {"metrics": [dict(point) for point in points], "params_json": _json(params)}, idem)

    def end_run(self, tenant: str, run: uuid.UUID, *, failed: bool = False, message: str = "", idem: Optional[uuid.UUID] = None) -> None:
        """Ends a run; what is logged to it after that is refused. `idem` as in log_run()."""
        self._change_run("run_end", tenant, run, {"status": FAILED if failed else FINISHED, "message": message}, idem)

    def attach_file(self, tenant: str, run: uuid.UUID, name: str, content: bytes) -> None:
        """Keeps a file of up to 4 MiB with the run, in place of what it had of that name."""
        self._change_run("run_attach", tenant, run, {"name": name, "content": content})

    def run_file(self, tenant: str, run: uuid.UUID, name: str) -> bytes:
        """The content of a file; EspalierError (NOT_FOUND) where the run has none of that name."""
        return bytes(self.call("run_file", {"tenant": tenant, "run": run.bytes, "name": name}).get("content", b""))

    def runs(self, tenant: str, runs: Sequence[uuid.UUID]) -> List[Dict[str, Any]]:
        """What is known of these runs, in their order: `params`, `status`, and of each of `metrics` the last `value` with its `step`."""
        records = []
        for at in range(0, len(runs), 256):
            asked = [run.bytes for run in runs[at:at + 256]]
            records += [readable_run(record) for record in self.call("runs", {"tenant": tenant, "runs": asked}).get("runs", [])]
        return records

    def run_metrics(self, tenant: str, run: uuid.UUID, name: str = "") -> Iterator[Dict[str, Any]]:
        """Every point of the run, or of one metric: by name, then step, to the end."""
        request: Dict[str, Any] = {"tenant": tenant, "run": run.bytes, "name": name}
        while True:
            reply = self.call("run_metrics", request)
            for point in reply.get("points", []):
                yield {"step": 0, "value": 0.0, **point}
            if not reply.get("cursor"):
                return
            request["cursor"] = reply["cursor"]

    def compare_runs(self, tenant: str, runs: Optional[Sequence[uuid.UUID]] = None, *, model: str = "", where: str = "",
                     order: str = "created") -> List[Dict[str, Any]]:
        """One row a run, all with the same columns: `run`, `name`, `status`, and each `params.NAME` and `metrics.NAME` that any of them has; None
        where this one has it not.

        Args:
            runs: which; else those that the filter `where` finds, in `order`.
        """
        if runs is None:
            records = list(self.search("runs", where, tenant=tenant, model=model, order=order))
        else:
            records = self.runs(tenant, runs)
        rows = [{"run": record["run"], "name": record.get("name", ""), "status": record["status"],
                 **{f"params.{name}": value for name, value in sorted(_flat(record["params"]).items())},
                 **{f"metrics.{name}": metric["value"] for name, metric in sorted(record["metrics"].items())}} for record in records]
        columns = list(dict.fromkeys(["run", "name", "status"] + sorted({name for row in rows for name in row if "." in name}, key=_column_order)))
        return [{column: row.get(column) for column in columns} for row in rows]

    def _change_run(self, op: str, tenant: str, run: uuid.UUID, members: Dict[str, Any], idem: Optional[uuid.UUID] = None) -> None:
        given = {key: value for key, value in members.items() if value or key == "content"}
        self.call(op, {"idem": (idem or uuid.uuid4()).bytes, "tenant": tenant, "run": run.bytes, **given})


class Run:
    """A run that is being written. Keeps points and sends many at once; flush() and the end send what is left. Belongs to one thread.

    As a context manager it ends as failed, with the exception's text, where one leaves the block. Where the registry doesn't answer, points
    are kept: once it does, flush() or end() sends them, none twice.
    """

    def __init__(self, registry: RunOperations, tenant: str, run: uuid.UUID) -> None:
        self.tenant = tenant
        self.run = run
        self._registry = registry
        self._points: List[Dict[str, Any]] = []
        #: Asked for without an answer, with the idem that it was asked with.
        self._unanswered: Optional[Tuple[uuid.UUID, List[Dict[str, Any]]]] = None
        self._asked_end: Optional[Tuple[uuid.UUID, bool, str]] = None
        self._ended = False

    def log(self, metrics: Metrics, *, step: int = 0, time_us: Optional[int] = None) -> None:
        """Takes one value of each metric; its time is now.

        Raises:
            EspalierError: INVALID_ARGUMENT names the metric whose value is NaN or infinite; nothing of this call is taken, and what was
                logged before stays. UNAVAILABLE and the like where many points were sent at once: they are kept, with those of this call.
        """
        now = time.time_ns() // 1000 if time_us is None else time_us
        points = [{"name": name, "step": step, "value": float(value), "time_us": now} for name, value in metrics.items()]
        for point in points:
            if not math.isfinite(point["value"]):
                raise EspalierError(Code.INVALID_ARGUMENT, f"metrics.{point['name']}: {point['value']} is not a finite number")
        self._points += points
        if len(self._points) >= _KEPT_POINTS:
            self.flush()

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Adds parameters; one that is set already keeps its value, and another one is refused."""
        self._registry.log_run(self.tenant, self.run, params=params)

    def attach(self, name: str, content: bytes) -> None:
        self._registry.attach_file(self.tenant, self.run, name, content)

    def flush(self) -> None:
        """Sends what log() has kept. Where the registry doesn't answer or is overloaded, the points are kept for the next time; those that
        it refuses are forgotten."""
        while self._unanswered or self._points:
            if self._unanswered is None:
                self._unanswered = (uuid.uuid4(), self._points[:_KEPT_POINTS])
                del self._points[:_KEPT_POINTS]
            idem, points = self._unanswered
            try:
                self._registry.log_run(self.tenant, self.run, points, idem=idem)
            except EspalierError as error:
                if error.code not in _ASK_AGAIN:
                    self._unanswered = None
                raise
            self._unanswered = None

    def end(self, *, failed: bool = False, message: str = "") -> None:
        """Sends what is left and ends the run. Where the registry doesn't answer, call it again: nothing is lost, and nothing is done twice."""
        self.flush()
        if self._asked_end is None or self._asked_end[1:] != (failed, message):
            self._asked_end = (uuid.uuid4(), failed, message)
        self._registry.end_run(self.tenant, self.run, failed=failed, message=message, idem=self._asked_end[0])
        self._asked_end = None
        self._ended = True

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        if self._ended:
            return
        if error is None:
            self.end()
        else:
            self.end(failed=True, message=f"{type(error).__name__}: {error}"[:1000])


def readable_run(record: Dict[str, Any]) -> Dict[str, Any]:
    """A run's record with its members as Python has them."""
    read = {**record, "run": uuid.UUID(bytes=bytes(record["run"])) if isinstance(record["run"], bytes) else record["run"]}
    params = read.pop("params_json", "")
    read["params"] = json.loads(params) if params else {}
    read["status"] = _STATUS[record.get("status", 0)]
    read["metrics"] = {name: {"value": 0.0, "step": 0, **metric} for name, metric in record.get("metrics", {}).items()}
    read["files"] = [{"bytes": 0, **file, "hash": file["hash"].hex()} for file in record.get("files", [])]
    for hash_member in ("spec", "dataset"):
        if hash_member in read:
            read[hash_member] = read[hash_member].hex()
    return read


def _json(params: Optional[Mapping[str, Any]]) -> str:
    return json.dumps(params, allow_nan=False) if params else ""


def _flat(params: Mapping[str, Any], prefix: str = "") -> Dict[str, Any]:
    flat: Dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def _column_order(name: str) -> "tuple[bool, str]":
    return name.startswith("metrics."), name
