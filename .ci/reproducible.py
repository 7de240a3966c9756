# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a collection's tarball the same to the bit, whatever machine built it and when.

Usage: reproducible.py TARBALL SECONDS     (since 1970: what all files are dated with)
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

MANIFEST, FILES = "MANIFEST.json", "FILES.json"


def reproducible(tarball: bytes, seconds: int) -> bytes:
    """``tarball`` with its files in the order of their names: ansible-galaxy takes them as the file system has them."""
    with tarfile.open(fileobj=io.BytesIO(tarball)) as given:
        members = {member.name: member for member in given.getmembers()}
        content = {name: given.extractfile(member) for name, member in members.items()}
        bodies = {name: file.read() for name, file in content.items() if file}
    files = json.loads(bodies[FILES])
    files["files"].sort(key=lambda file: file["name"])
    bodies[FILES] = json.dumps(files, indent=1).encode()
    manifest = json.loads(bodies[MANIFEST])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(bodies[FILES]).hexdigest()
    bodies[MANIFEST] = json.dumps(manifest, indent=1).encode()
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as written:
        for name in (MANIFEST, FILES, *sorted(members.keys() - {MANIFEST, FILES})):
            member = members[name]
            member.mtime, member.pax_headers = seconds, {}
            if name in bodies:
                member.size = len(bodies[name])
            written.addfile(member, io.BytesIO(bodies[name]) if name in bodies else None)
    return gzip.compress(made.getvalue(), mtime=0)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_bytes(reproducible(path.read_bytes(), int(sys.argv[2])))
