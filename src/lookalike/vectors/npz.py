"""Archives of arrays (NPZ) that may come from strangers."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray


def read_npz(source: Path | BinaryIO) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of an archive that `numpy.savez` wrote, by name. Nothing is unpickled.

    A compressed archive is refused: a few megabytes of it could fill the memory. Raises various errors of
    zipfile, zlib and NumPy for what cannot be read.
    """
    with zipfile.ZipFile(source) as archive:
        members = archive.infolist()
        archive_file = archive.fp
        assert archive_file is not None
        if sum(member.file_size for member in members) > archive_file.seek(0, 2):
            raise ValueError("the arrays are larger than their archive")
    with np.load(source, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
