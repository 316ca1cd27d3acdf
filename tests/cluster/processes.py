"""Finding the processes of a control plane without asking the control plane."""

from __future__ import annotations

import contextlib
from pathlib import Path


def processes_in(folder: Path) -> dict[int, str]:
    """Pid and command line of every living process that works in a folder or below it, even a removed one."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's
            directory = str((process / "cwd").readlink()).removesuffix(" (deleted)")
            if Path(directory).is_relative_to(folder):
                arguments = (process / "cmdline").read_bytes().split(b"\0")
                found[int(process.name)] = b" ".join(arguments).decode().strip()
    return found
