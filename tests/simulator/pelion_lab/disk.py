# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board's disk: an image file with an ext4 on it, mounted through a loop device."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from .errors import LabError

# What MBL's partition for /config/user has.
BYTES = 32 << 20
FREE_SECONDS = 10


def make(image: Path, content: Path) -> None:
    """Create an image that holds the files of a directory. Raises LabError."""
    with image.open("xb") as file:
        file.truncate(BYTES)
    command = ["mke2fs", "-q", "-t", "ext4", "-d", content, image]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise LabError(f"mke2fs can't make a board's disk: {made.stderr.strip()}")


def lose_unsynced(image: Path, copy: Path) -> None:
    """Copy what is on the device, which is what a power cut leaves. Nobody may write meanwhile.

    What the file system has not yet handed to its device is not in the image. The kernel does that in its own time,
    so it is copied until nothing has changed meanwhile.
    """
    while True:
        subprocess.run(["cp", "--sparse=always", image, copy], check=True)
        if subprocess.run(["cmp", "-s", image, copy], check=False).returncode == 0:
            return


def wait_until_free(image: Path) -> None:
    """Return when no loop device holds the image any more. Raises LabError when one does for too long."""
    deadline = time.monotonic() + FREE_SECONDS
    while _is_held(image):
        if time.monotonic() > deadline:
            raise LabError(f"{image} is still mounted")
        time.sleep(0.01)


def _is_held(image: Path) -> bool:
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if file.read_text().strip() == str(image):
                return True
        except OSError:
            continue  # let go just now
    return False
