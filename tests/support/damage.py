"""Damage on a shard's disk, as disks make it."""

import mmap
import struct

HEADER_BYTES = 64  # of a segment, a frame and a mark: docs/artefact-format.md


def frames(path):
    """Where the artefacts of a segment lie: (offset, bytes) by hash."""
    return _walk(path)[0]


def end_segment(path):
    """Puts what is no frame behind all frames: at its next opening the segment takes no more, and what is added begins another."""
    with path.open("r+b") as file:
        file.seek(_walk(path)[1])
        file.write(b"\xff" * HEADER_BYTES)


def _walk(path):
    """What frames() gives, and where the next frame would begin."""
    found, at = {}, HEADER_BYTES
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        while at + HEADER_BYTES <= len(content):
            magic, size, name = struct.unpack_from("<8sQ32s", content, at)
            if magic == b"ESPFRAME":
                found[name] = (at + HEADER_BYTES, size)
            elif magic == b"ESPAMARK":
                size = 0
            else:
                break
            at += HEADER_BYTES + (size + HEADER_BYTES - 1) // HEADER_BYTES * HEADER_BYTES
    return found, at


def flip_bit(path, artefact, chance):
    """Flips a bit of the artefact with this hash, wherever in the segment it lies; false where it doesn't."""
    start, size = frames(path).get(artefact, (0, 0))
    if not size:
        return False
    with path.open("r+b") as file:
        place = start + chance.randrange(size)
        file.seek(place)
        (before,) = file.read(1)
        file.seek(place)
        file.write(bytes([before ^ 1 << chance.randrange(8)]))
    return True
