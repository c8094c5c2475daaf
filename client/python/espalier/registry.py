"""The connection to the registry."""

from __future__ import annotations

import itertools
import struct
import time
import uuid
from types import TracebackType
from typing import Any, Dict, Iterator, Optional, Sequence, Type, Union

import msgpack
import zmq

from .errors import Code, EspalierError, code_of
from .keys import Key, connect, usable
from .runs import RunOperations, readable_run
from .tags import TagOperations

#: After so long without an answer a request is sent again, to the next endpoint where there is one.
_RESEND_S = 3.0


class Registry(TagOperations, RunOperations):
    """The registry's records. Belongs to one thread.

        with Registry("ipc:///run/espalier/registry.sock") as registry:
            for version in registry.search("versions", "metrics.rmse < 85 and partition under 'br'", tenant="acme"):
                print(version["partition"], version["metrics_json"])

    Args:
        endpoints: the registry's endpoint, or several ways to it.
        timeout_s: how long an answer may take; then EspalierError (UNAVAILABLE).
        context: a ZeroMQ context to share; the process's own by default.
        key: who asks: Key(path of a key file). Endpoints that end in "#" and a public key need one.
        insecure: use endpoints, too, where anybody could answer or listen in: over TCP without a public key.
    """

    def __init__(self, endpoints: Union[str, Sequence[str]], *, timeout_s: float = 30.0,
                 context: Optional["zmq.Context[zmq.Socket[bytes]]"] = None, key: Optional[Key] = None,
                 insecure: bool = False) -> None:
        given = [endpoints] if isinstance(endpoints, str) else list(endpoints)
        self._endpoints, self._key = usable(given, key, "the registry", insecure), key
        self._insecure = insecure
        if not self._endpoints:
            raise EspalierError(Code.INVALID_ARGUMENT, "no endpoint of a registry is given")
        self._timeout_s = timeout_s
        self._context = context or zmq.Context.instance()
        self._tickets = itertools.count(1)
        self._endpoint = 0
        self._socket = self._connect()

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def search(self, kind: str, where: str = "", *, tenant: str = "", model: str = "", order: str = "", epoch: int = 0,
               time_us: int = 0, limit: Optional[int] = None, page: int = 1000) -> Iterator[Dict[str, Any]]:
        """Everything that passes the filter, in order: docs/search.md has the language.

        Goes on to the end, or to `limit`; all of it is the state as of one epoch, whatever is written meanwhile.

        Args:
            kind: "versions", "releases", "nodes", "models", "tenants", "runs" or "datasets".
            tenant, model: narrow it; a model needs its tenant.
            epoch, time_us: as of when; now by default.
            page: how many are asked for at once.

        Yields:
            the records' members as in docs/wire-protocol.md, with `tenant` and `model`; UUIDs as uuid.UUID.

        Raises:
            EspalierError: INVALID_ARGUMENT with a caret under the place in the filter, and others.
        """
        asked = {"kind": kind, "where": where, "tenant": tenant, "model": model, "order": order, "epoch": epoch,
                 "time_us": time_us}
        request: Dict[str, Any] = {key: value for key, value in asked.items() if value}
        given = 0
        while limit is None or given < limit:
            request["limit"] = page if limit is None else min(page, limit - given)
            reply = self.call("search", request)
            for row in reply.get("rows", []):
                unpacked = msgpack.unpackb(row["record"], raw=False)
                record = _READABLE.get(kind, _record)(unpacked)
                yield {**record, "tenant": row["tenant"], **({"model": row["model"]} if row.get("model") else {})}
                given += 1
            if not reply.get("cursor"):
                return
            request["cursor"] = reply["cursor"]

    def call(self, op: str, members: Dict[str, Any], bodies: Sequence[bytes] = ()) -> Dict[str, Any]:
        """One operation of the registry; its reply as it is, without bodies.

        Raises:
            EspalierError: the registry's failure; UNAVAILABLE where no answer came in time.
        """
        header = bytes(msgpack.packb({"v": 1, "op": op, **members}, use_bin_type=True))
        until = time.monotonic() + self._timeout_s
        # The ticket stays: an answer to an earlier sending will do. A registry that is busy isn't asked ever more.
        ticket = struct.pack("<Q", next(self._tickets))
        resend_s = _RESEND_S
        while time.monotonic() < until:
            if not self._send([ticket, header, *bodies], min(until, time.monotonic() + resend_s)):
                self._use_next_endpoint(anew=True)
                continue
            reply = self._receive(ticket, min(until, time.monotonic() + resend_s))
            if reply is not None:
                return reply
            resend_s *= 2
            self._use_next_endpoint()
        raise EspalierError(Code.UNAVAILABLE, f"the registry at {self._endpoints[self._endpoint]} did not answer")

    def _send(self, frames: Sequence[bytes], until: float) -> bool:
        """False where the connection takes nothing: a sending that waits for it would know no time limit."""
        try:
            if self._socket.poll(max(0, int((until - time.monotonic()) * 1000)), zmq.POLLOUT):
                self._socket.send_multipart(frames, zmq.NOBLOCK)
                return True
        except zmq.Again:
            pass
        return False

    def _receive(self, ticket: bytes, until: float) -> Optional[Dict[str, Any]]:
        while True:
            left_ms = int((until - time.monotonic()) * 1000)
            if left_ms <= 0 or not self._socket.poll(left_ms):
                return None
            frames = self._socket.recv_multipart()
            if len(frames) < 2 or frames[0] != ticket:
                continue
            try:
                reply = msgpack.unpackb(frames[1], raw=False)
            except Exception as error:  # msgpack raises several kinds
                raise EspalierError(Code.CORRUPT, f"reply: {error}") from error
            if not isinstance(reply, dict):
                raise EspalierError(Code.CORRUPT, "reply: expected a map")
            code = code_of(reply.get("status"))
            if code != Code.OK:
                raise EspalierError(code, reply.get("message", ""), reply.get("retry_after_us", 0))
            return reply

    def _connect(self) -> "zmq.Socket[bytes]":
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        try:
            connect(socket, self._endpoints[self._endpoint], self._key, self._insecure)
        except zmq.ZMQError as error:
            socket.close()
            raise EspalierError(Code.INVALID_ARGUMENT, f"cannot connect to {self._endpoints[self._endpoint]}: {error}") from error
        return socket

    def _use_next_endpoint(self, anew: bool = False) -> None:
        """Where there is only one, a new connection to it if asked for one."""
        if anew or len(self._endpoints) > 1:
            self._socket.close()
            self._endpoint = (self._endpoint + 1) % len(self._endpoints)
            self._socket = self._connect()


def _record(record: Dict[str, Any]) -> Dict[str, Any]:
    """UUIDs are 16 bytes on the wire."""
    return {key: uuid.UUID(bytes=value) if isinstance(value, bytes) and len(value) == 16 else value
            for key, value in record.items()}


def _dataset(record: Dict[str, Any]) -> Dict[str, Any]:
    """Fingerprints are 32 bytes on the wire."""
    return {key: value.hex() if isinstance(value, bytes) else value for key, value in record.items()}


_READABLE = {"runs": readable_run, "datasets": _dataset}
