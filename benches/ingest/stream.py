"""Reads an OCI layout by hand, in one pass over each layer and with no more than one buffer of it in memory.

What layerprint is compared with: SHA-256 of the blob and of the tar in it, BLAKE3 of each regular file, by Python's own
modules and two packages (blake3, zstandard). Prints a JSON object for each distinct layer. Checks the digest that the
manifest gives; leaves out whiteouts, limits, and storing anything.

    python3 stream.py LAYOUT
    python3 stream.py --versions
"""

import hashlib
import io
import json
import platform
import sys
import tarfile
import zlib
from pathlib import Path

import blake3
import zstandard

# Of 64 KiB to 1 MiB, what took least on a gzip layer: zlib copies the rest of a chunk each time that its output is full.
CHUNK_BYTES = 256 << 10


class Hashing(io.RawIOBase):
    """Hashes what is read through it."""

    def __init__(self, inner):
        self.inner = inner
        self.sha256 = hashlib.sha256()

    def readable(self):
        return True

    def read(self, size=-1):
        data = self.inner.read(size)
        self.sha256.update(data)
        return data

    def drain(self):
        """Reads what tarfile leaves after the end blocks."""
        while self.read(CHUNK_BYTES):
            pass


class Gunzip:
    """gzip members, a chunk at a time; a tenth faster than `gzip.GzipFile`, which reads 8 KiB at a time."""

    def __init__(self, inner):
        self.inner = inner
        self.decoder = zlib.decompressobj(wbits=31)
        self.pending = b""

    def read(self, size):
        while True:
            data = self.pending or self.inner.read(CHUNK_BYTES)
            if not data:
                if not self.decoder.eof:
                    raise EOFError("gzip stream is cut short")
                return b""
            if self.decoder.eof:
                self.decoder = zlib.decompressobj(wbits=31)
            out = self.decoder.decompress(data, size)
            self.pending = self.decoder.unconsumed_tail or self.decoder.unused_data
            if out:
                return out


def unpacked(media_type, blob):
    if media_type.endswith("gzip"):
        return Gunzip(blob)
    if media_type.endswith("zstd"):
        return zstandard.ZstdDecompressor().stream_reader(blob, read_size=CHUNK_BYTES, read_across_frames=True)
    return blob


def read_layer(path, media_type):
    files = []
    with open(path, "rb", buffering=0) as file:
        blob = Hashing(file)
        plain = unpacked(media_type, blob) is blob
        tar = blob if plain else Hashing(unpacked(media_type, blob))
        with tarfile.open(fileobj=tar, mode="r|", bufsize=CHUNK_BYTES) as archive:
            for entry in archive:
                if entry.isreg():
                    files.append((entry.name, hash_file(archive.extractfile(entry))))
                # Or tarfile keeps all of them.
                archive.members = []
        tar.drain()
        blob.drain()
    return blob.sha256.hexdigest(), tar.sha256.hexdigest(), files


def hash_file(file):
    hasher = blake3.blake3()
    while data := file.read(CHUNK_BYTES):
        hasher.update(data)
    return hasher.hexdigest()


def layers(layout):
    blobs = Path(layout, "blobs")
    for row in json.loads(Path(layout, "index.json").read_bytes())["manifests"]:
        manifest = json.loads(Path(blobs, row["digest"].replace(":", "/")).read_bytes())
        for layer in manifest["layers"]:
            yield layer["digest"], layer["mediaType"], Path(blobs, layer["digest"].replace(":", "/"))


def main(layout):
    seen = set()
    for digest, media_type, path in layers(layout):
        if digest in seen:
            continue
        seen.add(digest)
        found, diff_id, files = read_layer(path, media_type)
        if f"sha256:{found}" != digest:
            sys.exit(f"{path}: digest is sha256:{found}")
        print(json.dumps({"layer": digest, "diff_id": f"sha256:{diff_id}", "files": files}))


def versions():
    return (
        f"Python {platform.python_version()}, zlib {zlib.ZLIB_RUNTIME_VERSION}, "
        f"blake3 {blake3.__version__}, zstandard {zstandard.__version__}"
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--versions"]:
        print(versions())
    elif len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        sys.exit(__doc__)
