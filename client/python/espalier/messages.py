"""Messages as bytes: what docs/wire-protocol.md says of "predict", and nothing about sockets."""

from __future__ import annotations

import enum
import math
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

import msgpack

from .errors import Code, EspalierError, code_of

PROTOCOL_VERSION = 1
DEFAULT_BUDGET_US = 1_000_000
MAX_REQUEST_BYTES = 16 << 20

Value = Union[None, int, float, str]
Row = Mapping[str, Value]


class Reason(enum.IntEnum):
    """Why this node answered. The numbers are on the wire and never change."""

    EXACT = 0
    NO_VERSION = 1
    PREVIOUS = 2
    OVERLAY_NOT_READY = 3
    COLD = 4
    CORRUPT = 5
    QUARANTINED = 6
    OVER_BUDGET = 7
    REMOVED = 8


@dataclass(frozen=True)
class Part:
    """The rows of one request that belong to one partition.

    Give exactly one of the three forms:
        rows: a mapping of field to value for each row; absent fields and None are missing.
        columns: for each field as many values as there are rows.
        vectors: a sequence of values for each row, in the order of the input schema with number `schema`.

    `partition` holds the level values, outermost first (empty: the root); `unit` says who is assigned in experiments.
    """

    partition: Sequence[str] = ()
    rows: Optional[Sequence[Row]] = None
    columns: Optional[Mapping[str, Sequence[Value]]] = None
    vectors: Optional[Sequence[Sequence[Value]]] = None
    schema: Optional[int] = None
    unit: str = ""

    def row_count(self) -> int:
        """How many rows it has. Raises EspalierError (INVALID_ARGUMENT) where the forms don't fit."""
        given = [name for name in ("rows", "columns", "vectors") if getattr(self, name) is not None]
        if len(given) != 1:
            raise _invalid(f"give exactly one of rows, columns and vectors, not {' and '.join(given) or 'none'}")
        if self.rows is not None:
            return len(self.rows)
        if self.vectors is not None:
            if self.schema is None:
                raise _invalid("vectors need schema, the number of the input schema")
            return len(self.vectors)
        assert self.columns is not None
        lengths = {len(values) for values in self.columns.values()}
        if len(lengths) != 1:
            raise _invalid("columns: all must have the same number of rows")
        return lengths.pop()

    def body(self) -> bytes:
        """The part's body frame."""
        if self.rows is not None:
            content: Dict[str, Any] = {"rows": [_checked(row, f"rows[{i}]") for i, row in enumerate(self.rows)]}
        elif self.columns is not None:
            content = {"columns": {name: list(values) for name, values in self.columns.items()}}
            for name, values in content["columns"].items():
                _check_values(values, f"columns.{name}")
        else:
            vectors = [list(vector) for vector in self.vectors or ()]
            for i, vector in enumerate(vectors):
                _check_values(vector, f"vectors[{i}]")
            content = {"schema": self.schema, "vectors": vectors}
        return bytes(msgpack.packb(content, use_bin_type=True))


@dataclass(frozen=True)
class Provenance:
    """What answered, and why."""

    asked: List[str] = field(default_factory=list)
    served: List[str] = field(default_factory=list)
    level: str = ""
    reason: Union[Reason, int] = Reason.EXACT
    version: Optional[uuid.UUID] = None
    tag: str = ""
    release: Optional[uuid.UUID] = None
    release_epoch: int = 0
    arm: str = ""
    exposed: bool = False
    epoch: int = 0
    shard: str = ""
    prediction: Optional[uuid.UUID] = None
    attempt: int = 1


@dataclass(frozen=True)
class PartPrediction:
    """The answer to one part.

    Regression fills `values`; the other tasks `labels` and `probabilities` (each of the label beside it) and, where all scores were asked for,
    `classes` and `scores` (one list a row, in the order of `classes`). `error` says why there is no answer.
    """

    rows: int
    provenance: Provenance = field(default_factory=Provenance)
    values: List[float] = field(default_factory=list)
    labels: List[str] = field(default_factory=list)
    probabilities: List[float] = field(default_factory=list)
    classes: List[str] = field(default_factory=list)
    scores: List[List[float]] = field(default_factory=list)
    error: Optional[EspalierError] = None


@dataclass(frozen=True)
class Prediction:
    """The answer to a request of several parts, in the order asked. `error` is that of the request as a whole."""

    parts: List[PartPrediction] = field(default_factory=list)
    error: Optional[EspalierError] = None


def is_temporary(error: Optional[EspalierError]) -> bool:
    """Whether asking again later may help."""
    return error is not None and error.code in (Code.OVERLOADED, Code.UNAVAILABLE)


def renewed(header: bytes, budget_us: int) -> bytes:
    """The header of a request that is sent later or again, with what remains of its budget."""
    return bytes(msgpack.packb({**msgpack.unpackb(header, raw=False), "budget_us": budget_us, "sent_us": clock_us()}, use_bin_type=True))


def clock_us() -> int:
    """From any zero; routers see from it how long requests have waited."""
    return time.monotonic_ns() // 1000


def _invalid(message: str) -> EspalierError:
    return EspalierError(Code.INVALID_ARGUMENT, message)


def _check_values(values: Sequence[Value], place: str) -> None:
    for i, value in enumerate(values):
        _check_value(value, f"{place}[{i}]")


def _check_value(value: object, place: str) -> None:
    if value is None or isinstance(value, str):
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _invalid(f"{place}: expected a number, text or None, got {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise _invalid(f"{place}: the number must be finite")


def _checked(row: Row, place: str) -> Dict[str, Value]:
    for name, value in row.items():
        _check_value(value, f"{place}.{name}")
    return dict(row)


def encode_request(tenant: str, model: str, parts: Sequence[Part], *, ref: Optional[str] = None,
                   budget_us: int = DEFAULT_BUDGET_US, all_scores: bool = False, min_epoch: int = 0, sent_us: int = 0) -> List[bytes]:
    """Header and bodies of a predict request. Raises EspalierError (INVALID_ARGUMENT) before anything is sent."""
    if not parts:
        raise _invalid("parts: missing or empty")
    if budget_us <= 0:
        raise _invalid("budget_us: must be positive")
    header: Dict[str, Any] = {"v": PROTOCOL_VERSION, "op": "predict", "tenant": tenant, "model": model}
    if ref is not None:
        header["refs"] = [ref]
    if budget_us != DEFAULT_BUDGET_US:
        header["budget_us"] = budget_us
    if all_scores:
        header["all_scores"] = True
    if min_epoch:
        header["min_epoch"] = min_epoch
    if sent_us:
        header["sent_us"] = sent_us
    asked = []
    for part in parts:
        entry: Dict[str, Any] = {}
        if part.partition:
            entry["partition"] = list(part.partition)
        if part.unit:
            entry["unit"] = part.unit
        rows = part.row_count()
        if rows != 1:
            entry["rows"] = rows
        asked.append(entry)
    header["parts"] = asked
    frames = [bytes(msgpack.packb(header, use_bin_type=True))] + [part.body() for part in parts]
    if sum(map(len, frames)) > MAX_REQUEST_BYTES:
        raise _invalid(f"request: more than {MAX_REQUEST_BYTES} bytes")
    return frames


def _unpack(frame: bytes, what: str) -> Dict[str, Any]:
    try:
        content = msgpack.unpackb(frame, raw=False)
    except Exception as error:  # msgpack raises several kinds
        raise EspalierError(Code.CORRUPT, f"{what}: {error}") from error
    if not isinstance(content, dict):
        raise EspalierError(Code.CORRUPT, f"{what}: expected a map")
    return content


def _uuid(raw: Optional[bytes]) -> Optional[uuid.UUID]:
    return None if raw is None else uuid.UUID(bytes=raw)


def _reason(number: int) -> Union[Reason, int]:
    try:
        return Reason(number)
    except ValueError:
        return number


def _provenance(content: Dict[str, Any]) -> Provenance:
    return Provenance(
        asked=content.get("asked", []),
        served=content.get("served", []),
        level=content.get("level", ""),
        reason=_reason(content.get("reason", 0)),
        version=_uuid(content.get("version")),
        tag=content.get("tag", ""),
        release=_uuid(content.get("release")),
        release_epoch=content.get("release_epoch", 0),
        arm=content.get("arm", ""),
        exposed=content.get("exposed", False),
        epoch=content.get("epoch", 0),
        shard=content.get("shard", ""),
        prediction=_uuid(content.get("prediction")),
        attempt=content.get("attempt", 1),
    )


def _decode_part(content: Dict[str, Any], frame: bytes) -> PartPrediction:
    rows = content.get("rows", 0)
    code = code_of(content.get("status", 0))
    if code != Code.OK:
        return PartPrediction(rows=rows, error=EspalierError(code, content.get("message", "")))
    body = _unpack(frame, "reply body")
    answer = PartPrediction(
        rows=rows,
        provenance=_provenance(content.get("provenance", {})),
        values=[float(value) for value in body.get("value", [])],
        labels=body.get("label", []),
        probabilities=[float(value) for value in body.get("probability", [])],
        classes=body.get("classes", []),
        scores=[[float(score) for score in row] for row in body.get("scores", [])],
    )
    if len(answer.values) + len(answer.labels) != rows or len(answer.labels) != len(answer.probabilities):
        raise EspalierError(Code.CORRUPT, "reply body: another number of rows than the header says")
    return answer


def decode_reply(frames: Sequence[bytes]) -> Prediction:
    """What a reply's header and bodies say. An unreadable reply becomes an error with code CORRUPT."""
    try:
        header = _unpack(frames[0], "reply")
        code = code_of(header.get("status"))
        if code != Code.OK:
            return Prediction(error=EspalierError(code, header.get("message", ""), header.get("retry_after_us", 0)))
        parts = header.get("parts", [])
        if len(parts) != len(frames) - 1:
            raise EspalierError(Code.CORRUPT, f"reply: {len(parts)} parts with {len(frames) - 1} bodies")
        return Prediction(parts=[_decode_part(part, frame) for part, frame in zip(parts, frames[1:])])
    except EspalierError as error:
        return Prediction(error=error)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        return Prediction(error=EspalierError(Code.CORRUPT, f"reply: {error}"))
