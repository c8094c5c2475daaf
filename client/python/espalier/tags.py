"""Tags as the registry's clients move them and look back at them: docs/tags.md has the rules."""

from __future__ import annotations

import json
import uuid
from typing import Any, Dict, Iterator, Optional, Sequence, Union

import msgpack

VERSION, REMOVED, UNSET = 0, 1, 2


class TagOperations:
    """What Registry has for tags. Changes are made once, however often they are sent. UUIDs are uuid.UUID both ways."""

    def call(self, op: str, members: Dict[str, Any], bodies: Sequence[bytes] = ()) -> Dict[str, Any]:
        raise NotImplementedError

    def set_tag(self, tenant: str, model: str, tag: str, partition: Sequence[str], version: Optional[uuid.UUID], *, remove: bool = False,
                expected_release: Optional[uuid.UUID] = None, expected_none: bool = False, note: str = "") -> Dict[str, Any]:
        """Points the tag at a version of a node; without one it says nothing of the node, or, with `remove`, takes it out.

        Args:
            expected_release, expected_none: only if that was the last release of the tag, or it had none.

        Returns:
            `release`, `epoch` and `moved` of the release that was made.

        Raises:
            EspalierError: FAILED_PRECONDITION where another release is the last; nothing is changed then.
        """
        entry: Dict[str, Any] = {"partition": list(partition), "kind": REMOVED if remove else UNSET}
        if version is not None:
            entry.update(kind=VERSION, version=version.bytes)
        return self._change("move", tenant, model, {"tag": tag, "note": note, "expected_none": expected_none,
                                                    "expected_release": expected_release}, [msgpack.packb([entry])])

    def rollback(self, tenant: str, model: str, tag: str = "production", *, to: Optional[uuid.UUID] = None, epoch: int = 0,
                 time_us: int = 0, where: str = "", under: Sequence[str] = (), note: str = "",
                 expected_release: Optional[uuid.UUID] = None) -> Dict[str, Any]:
        """Takes the tag, or the subtree of it below `under`, back in one release: to what the release `to` left, to an epoch, to
        a time, or, for nodes whose version passes the filter `where`, to what they had before it came. Give exactly one of these.
        """
        return self._change("rollback", tenant, model, {"tag": tag, "to": _to(to, epoch, time_us, where), "under": list(under),
                                                        "note": note, "expected_release": expected_release})

    def rollback_preview(self, tenant: str, model: str, tag: str = "production", *, to: Optional[uuid.UUID] = None, epoch: int = 0,
                         time_us: int = 0, where: str = "", under: Sequence[str] = ()) -> Iterator[Dict[str, Any]]:
        """What rollback() would move, node by node, to the end: as release_diff()."""
        return self._differences("rollback_preview", tenant, model, {"tag": tag, "to": _to(to, epoch, time_us, where), "under": list(under)})

    def release_diff(self, tenant: str, model: str, before: uuid.UUID, after: uuid.UUID, *,
                     under: Sequence[str] = ()) -> Iterator[Dict[str, Any]]:
        """The nodes that differ between what two releases left.

        Yields:
            `partition`; `before` and `after`, each `kind`, `version`, `release`, `rows` and `metrics`; `delta`, by which the metrics
            that both have moved.
        """
        return self._differences("release_diff", tenant, model, {"from": before.bytes, "to": after.bytes, "under": list(under)})

    def tag_entries(self, tenant: str, model: str, tag: str = "production", *, under: Sequence[str] = (), epoch: int = 0,
                    time_us: int = 0) -> Iterator[Dict[str, Any]]:
        """What the tag says of each node, as of an epoch or a time (both 0: now)."""
        return self._pages("tag_entries", "entries", tenant, model, {"tag": tag, "under": list(under), "epoch": epoch, "time_us": time_us}, kind=VERSION)

    def tag_history(self, tenant: str, model: str, tag: str = "production", *, node: Optional[Sequence[str]] = None,
                    under: Sequence[str] = (), epoch: int = 0, time_us: int = 0) -> Iterator[Dict[str, Any]]:
        """Every movement of the tag, by node, then newest first: of one `node`, or of all below `under`."""
        place = {"under": list(under) if node is None else list(node), "node_only": node is not None}
        return self._pages("tag_history", "movements", tenant, model, {"tag": tag, **place, "epoch": epoch, "time_us": time_us},
                           kind=VERSION)

    def promote(self, tenant: str, model: str, source: str = "staging", target: str = "production", *,
                archive: Optional[str] = "archived", under: Sequence[str] = (), keep: bool = False, replace: bool = False,
                note: str = "", expected_release: Optional[uuid.UUID] = None) -> Dict[str, Any]:
        """Moves what `source` says to `target`, and versions that it replaces there to `archive`: one commit."""
        return self._change("promote", tenant, model, {
            "from": source, "to": target, "archive": archive or "", "from_release": uuid.uuid4(), "archive_release": uuid.uuid4(),
            "under": list(under), "keep": keep, "replace": replace, "note": note, "expected_release": expected_release})

    def overlay(self, tenant: str, model: str, tag: str, on: str) -> Dict[str, Any]:
        """Lets `tag` stand on the tag `on`, or, where that is empty, on its own; gives `epoch`."""
        return self.call("overlay", {"idem": uuid.uuid4().bytes, "tenant": tenant, "model": model, "tag": tag, "on": on})

    def _change(self, op: str, tenant: str, model: str, members: Dict[str, Any], bodies: Sequence[bytes] = ()) -> Dict[str, Any]:
        asked = {"idem": uuid.uuid4(), "release": uuid.uuid4(), "tenant": tenant, "model": model, **members}
        header = {key: value.bytes if isinstance(value, uuid.UUID) else value for key, value in asked.items() if value is not None}
        return _readable(self.call(op, header, bodies))

    def _pages(self, op: str, rows: str, tenant: str, model: str, members: Dict[str, Any], **defaults: Any) -> Iterator[Dict[str, Any]]:
        request = {"tenant": tenant, "model": model, **members}
        while True:
            reply = self.call(op, request)
            for row in reply.get(rows, []):
                yield {"partition": [], **defaults, **_readable(row)}
            if not reply.get("cursor"):
                return
            request["cursor"] = reply["cursor"]

    def _differences(self, op: str, tenant: str, model: str, members: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
        for node in self._pages(op, "nodes", tenant, model, members):
            delta = node.pop("delta_json", "")
            sides = {side: _state(node[side]) for side in ("before", "after")}
            yield {**node, **sides, "delta": json.loads(delta) if delta else {}}


def _to(release: Optional[uuid.UUID], epoch: int, time_us: int, where: str) -> Dict[str, Union[bytes, int, str]]:
    asked = {"release": release.bytes if release else b"", "epoch": epoch, "time_us": time_us, "where": where}
    return {key: value for key, value in asked.items() if value}


def _state(state: Dict[str, Any]) -> Dict[str, Any]:
    metrics = state.pop("metrics_json", "")
    return {"kind": VERSION, "rows": 0, **_readable(state), "metrics": json.loads(metrics) if metrics else {}}


def _readable(record: Dict[str, Any]) -> Dict[str, Any]:
    """UUIDs are 16 bytes on the wire."""
    return {key: uuid.UUID(bytes=value) if isinstance(value, bytes) and len(value) == 16 else value for key, value in record.items()}
