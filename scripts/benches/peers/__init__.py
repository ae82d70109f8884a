"""Not a benchmark: the environment of its own that peers and pictures run in."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SERVERS = {"obvious": "obvious.py", "semantic-router": "routed.py", "txtai": "indexed.py"}


def python(house: str = ".venv-bench", requirements: str = "requirements.txt") -> Path:
    """Interpreter of an environment; the first call makes it and installs what the requirements pin."""
    interpreter, done = ROOT / house / "bin" / "python", ROOT / house / "done"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", ROOT / house], check=True)
        install = [interpreter, "-m", "pip", "install", "--quiet", "-r", HERE / requirements]
        subprocess.run(install, check=True, env={"PATH": "/usr/bin:/bin"})
        done.touch()
    return interpreter


def server(name: str, folder: Path, port: int) -> list[Path | str]:
    """Command of a peer that answers POST /match; see obvious.py for what the folder holds."""
    return [python(".venv-bench-match", "requirements-match.txt"), HERE / SERVERS[name], folder, str(port)]


def labels(method: str, model: Path, texts: Sequence[str]) -> dict[str, list[int]]:
    """Cluster number of each text by a method of cluster.py, for each of its settings."""
    command = [python(), HERE / "cluster.py", method, model]
    done = subprocess.run(command, input=json.dumps(list(texts)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{method} failed: {done.stderr[-1500:]}")
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


def draw(result: Path, picture: Path) -> None:
    """Draws a result into a picture."""
    subprocess.run([python(), HERE / "draw.py", result, picture], check=True)
