"""A venv for the peers, made from the hash-locked benchmarks/requirements.lock when first needed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

__all__ = ["peers_python"]

_FOLDER = Path(__file__).parent
_VENV = _FOLDER / ".venv"


def peers_python() -> str:
    """The venv's Python. It is brought up to date where the lock is another than it was made from."""
    lock = _FOLDER / "requirements.lock"
    stamp, wanted = _VENV / "installed", hashlib.sha256(lock.read_bytes()).hexdigest()
    python = _VENV / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        sys.stderr.write("Making benchmarks/.venv for the peers, once\n")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(_VENV)], check=True)
        options = ["-qq", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
        subprocess.run([str(python), "-m", "pip", "install", *options], check=True)
        stamp.write_text(wanted)
    return str(python)
