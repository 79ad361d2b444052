"""Checks the types of the web page's JavaScript with the TypeScript compiler, as its comments state them.

Skipped, with the reason, without Node or the compiler: `npm install --no-save typescript@5` installs it
here, and TSC names it elsewhere. Published modules in vendor/ are not checked; those of the map are at
another address on the server than in the file system, and are not found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TSC = Path(os.environ.get("TSC", ROOT / "node_modules/typescript/bin/tsc"))


def main() -> int:
    """Print the errors and return the exit status."""
    node = shutil.which("node")
    if node is None or not TSC.is_file():
        missing = "there is no Node" if node is None else f"there is no file {TSC}"
        print(f"types of the page: skipped, {missing} (npm install --no-save typescript@5)")
        return 0
    run = subprocess.run(
        [node, TSC, "--pretty", "false", "--project", ROOT / "jsconfig.json"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    errors = [
        line
        for line in run.stdout.splitlines()
        if line[:1].strip() and "/vendor/" not in line and "'./map/" not in line
    ]
    print("\n".join(errors) or "types of the page: no errors")
    return bool(errors) or bool(run.returncode and not run.stdout)


if __name__ == "__main__":
    sys.exit(main())
