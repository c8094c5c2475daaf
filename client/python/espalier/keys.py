"""Key files, and endpoints that carry the public key of whoever listens there: docs/keys.md."""

from __future__ import annotations

import os
import re
import stat
import warnings
from typing import List, Optional, Sequence, Tuple, Union

import zmq
import zmq.utils.z85

from .errors import Code, EspalierError

_ENDPOINT = re.compile(r"(.*)#([0-9a-fA-F]{64})", re.S)
_LINE = re.compile(r'\s*([a-z-]+)\s*=\s*"([^"]*)"\s*')
_MOST_BYTES = 4096


class Key:
    """Who asks: a key pair, read from its file. The secret half is in no text of this object."""

    def __init__(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Raises: EspalierError: PERMISSION_DENIED where others may use the file, NOT_FOUND, CORRUPT; never with what stands there."""
        self.path = os.fspath(path)
        members = dict(_members(self.path, _read(self.path)))
        if members.get("espalier-key") != "1":
            raise EspalierError(Code.CORRUPT, f"{self.path}: is no key file, or of a newer Espalier")
        try:
            self.name = members["name"]
            self.public, self._secret = bytes.fromhex(members["public"]), bytes.fromhex(members["secret"])
        except (KeyError, ValueError):
            raise EspalierError(Code.CORRUPT, f"{self.path}: a member is missing or wrong") from None
        if len(self.public) != 32 or len(self._secret) != 32 or zmq.curve_public(zmq.utils.z85.encode(self._secret)) != zmq.utils.z85.encode(self.public):
            raise EspalierError(Code.CORRUPT, f"{self.path}: public and secret don't belong together")

    def __repr__(self) -> str:
        return f"Key({self.path!r})"

    def use_on(self, socket: "zmq.Socket[bytes]", server: bytes) -> None:
        """What the socket connects to from now on has to prove that it is `server`, and is shown this key."""
        socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = self.public, self._secret, server


def _read(path: str) -> str:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise EspalierError(Code.NOT_FOUND, f"{path}: there is no such file") from None
    except OSError as error:
        raise EspalierError(Code.FAILED_PRECONDITION, f"{path}: can't be read, or is a link: {error.strerror}") from None
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode):
            raise EspalierError(Code.FAILED_PRECONDITION, f"{path}: is no ordinary file")
        if about.st_uid not in (os.geteuid(), 0):
            raise EspalierError(Code.PERMISSION_DENIED, f"{path}: belongs to another user")
        if about.st_mode & 0o077:
            raise EspalierError(Code.PERMISSION_DENIED, f"{path}: others than its owner may use it (mode {stat.S_IMODE(about.st_mode):04o}); "
                                "a key that others could read is not used: make a new one, or chmod 600")
        return os.read(file, _MOST_BYTES + 1).decode("ascii", "replace")
    finally:
        os.close(file)


def _members(path: str, text: str) -> List[Tuple[str, str]]:
    members = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or match[1] not in ("espalier-key", "name", "public", "secret") or match[1] in dict(members):
            raise EspalierError(Code.CORRUPT, f"{path}: line {number} doesn't belong in a key file")
        members.append((match[1], match[2]))
    return members


def split_endpoint(endpoint: str) -> Tuple[str, Optional[bytes]]:
    """The address, and the public key of whoever listens there; None: connections to it aren't secured."""
    match = _ENDPOINT.fullmatch(endpoint)
    return (match[1], bytes.fromhex(match[2])) if match else (endpoint, None)


def is_private(address: str) -> bool:
    """Whether the system lets only this user, and root, be there: inproc, or ipc in a folder that nobody else can enter."""
    if address.startswith("inproc://"):
        return True
    if not address.startswith("ipc://") or address.startswith("ipc://@"):
        return False
    folder = os.path.realpath(os.path.dirname(os.path.abspath(address[len("ipc://"):])))
    while True:
        try:
            about = os.stat(folder)
            if stat.S_ISDIR(about.st_mode) and about.st_uid in (os.geteuid(), 0) and not about.st_mode & 0o077:
                return True
        except OSError:
            pass
        if folder == os.path.dirname(folder):
            return False
        folder = os.path.dirname(folder)


def usable(endpoints: Sequence[str], key: Optional[Key], whom: str, insecure: bool = False) -> List[str]:
    """Those that one gets anywhere with: all with a key, else those that need none.

    In clear text only where nobody else could listen in or answer instead, unless `insecure`, which warns.
    """
    found = [endpoint for endpoint in endpoints if key is not None or split_endpoint(endpoint)[1] is None]
    if endpoints and not found:
        raise EspalierError(Code.INVALID_ARGUMENT, f"to reach {whom} at {split_endpoint(endpoints[0])[0]} one needs a key: key=Key(path)")
    for endpoint in found:
        if check_secured(endpoint, insecure):
            warnings.warn(f"{whom} at {endpoint}: the connection is not secured: anybody could answer in its stead or listen in", RuntimeWarning, stacklevel=4)
    return found


def check_secured(endpoint: str, insecure: bool) -> bool:
    """Whether anybody could answer there or listen in. Raises: EspalierError: FAILED_PRECONDITION, where that isn't wanted."""
    address, server = split_endpoint(endpoint)
    if server is not None or is_private(address) or "://" not in address:
        return False
    if not insecure:
        raise EspalierError(Code.FAILED_PRECONDITION, f"{address}: anybody could answer there or listen in; write the endpoint with the public key of "
                            "who listens there (ADDRESS#KEY, as that process prints it), or say insecure=True")
    return True


def connect(socket: "zmq.Socket[bytes]", endpoint: str, key: Optional[Key], insecure: bool = False) -> None:
    """Raises: zmq.ZMQError; EspalierError: as check_secured(), and without a key where one is needed."""
    address, server = split_endpoint(endpoint)
    check_secured(endpoint, insecure)
    if server is not None:
        if key is None:
            raise EspalierError(Code.INVALID_ARGUMENT, f"to connect to {address} one needs a key: key=Key(path)")
        key.use_on(socket, server)
    socket.connect(address)
