"""Digests of data files: whether a file is still the one that was read, without reading all of it again."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Self

from dltrain.datasets.reading import open_data_file

BLOCK, BLOCKS = 2**13, 32  # bytes of one, and how many: a file no larger than all of them is hashed whole


@dataclass(frozen=True, slots=True)
class FileDigest:
    """What a data file was when it was read.

    The sample is `BLOCKS` blocks at equal distances, from the first byte to the last. That covers all of a
    file of up to 256 KiB, and in effect a gzip or `.npz` file of any size, for these end with checksums of
    their whole content. Of other files a change between the blocks goes unseen; `full_sha256` sees it.

    Attributes:
        path: as the config or the caller gives it; may be relative to what was then the current folder.
        size: in bytes.
        sample_sha256: SHA-256 of the sample, 64 hexadecimal digits.
        modified: time of the last change in nanoseconds since 1970. A hint for people, no part of
            `same_content`: copying a file changes it, and it can be set to anything.
    """

    path: str
    size: int
    sample_sha256: str
    modified: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Self:
        """The digest of the file at `path`, in less than 1 ms if the system has it in memory.

        Raises:
            DataError: it is missing, or no plain file.
            StorageError: it cannot be read.
        """
        with open_data_file(path) as file:
            status, digest = os.fstat(file.fileno()), hashlib.sha256()
            # From the first block's start to the last one's; in a small file they follow each other.
            stretch = max(status.st_size - BLOCK, (BLOCKS - 1) * BLOCK)
            for number in range(BLOCKS):
                file.seek(number * stretch // (BLOCKS - 1))
                digest.update(file.read(BLOCK))
        return cls(os.fspath(path), status.st_size, digest.hexdigest(), status.st_mtime_ns)

    def same_content(self, other: Self) -> bool:
        """Whether size and sample are equal, whatever the paths and the times of change."""
        return (self.size, self.sample_sha256) == (other.size, other.sample_sha256)

    def full_sha256(self) -> str:
        """The SHA-256 of all that the file at `path` holds now, as `sha256sum` prints it; reads all of it.

        Raises: as `of`.
        """
        with open_data_file(self.path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
