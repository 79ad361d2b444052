"""All benchmarks one after the other: `make bench`, or `make bench DATA=FOLDER` for those on photos.

    python -m benchmarks [FOLDER]

FOLDER holds corel1k/, grocery/, coco-mini/ and camera/. Each script also runs alone; its first lines say
how. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PLAIN = [
    ["catalogue.py"],
    ["search.py"],
    ["store.py", "--rows", "100000"],
    ["filters.py", "--images", "100000"],
    ["reindexing.py", "--files", "50000"],
    ["importing.py", "--rows", "100000"],
    ["memory.py", "--files", "20000", "40000"],
    ["cold_search.py"],
    ["evaluation.py"],
]


def on_photos(data: Path) -> list[list[str]]:
    return [
        *(
            ["indexing.py", str(data / name), "--copies", str(copies)]
            for name, copies in (("camera", 60), ("coco-mini", 12), ("corel1k", 8))
        ),
        ["decoding.py", str(data / "corel1k"), str(data / "coco-mini"), str(data / "camera")],
        ["color.py", str(data)],
        ["keypoints.py", str(data / "coco-mini"), str(data / "corel1k")],
    ]


def main() -> None:
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for script, *arguments in PLAIN + (on_photos(data) if data else []):
        print(f"\n=== {script} {' '.join(arguments)}", flush=True)
        subprocess.run([sys.executable, str(HERE / script), *arguments], check=True)


if __name__ == "__main__":
    main()
