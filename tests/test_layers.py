"""Who may import whom: three floors, no cycles, and one door for each heavy library. Reads the real imports."""

import ast
import subprocess
import sys
from collections.abc import Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("models", "indexer", "app")  # a module imports from its own floor and those before it
DOORS = {
    "alembic": {"indexer.database", "indexer.migrations"},
    "confusable_homoglyphs": {"models.letters"},
    "faiss": {"indexer.index"},
    "fastapi": {"app"},
    "fsspec": {"indexer.depot"},
    "hdbscan": set(),  # the tests' oracle
    "httpx": {"indexer.client"},
    "jinja2": {"app.console.pages"},
    "llvmlite": {"indexer.compiled"},
    "model2vec": {"indexer.weights"},
    "numba": {"indexer.compiled"},
    "onnx": {"indexer.byte_products", "indexer.weights"},
    # Which multiplies, which serves, and which makes.
    "onnxruntime": {"indexer.byte_products", "indexer.transformer", "indexer.weights"},
    "opentelemetry": {"app.tracing"},
    "prometheus_client": {"app.metrics"},
    "psycopg": {"indexer.postgres"},
    "pyarrow": {"indexer.readers", "indexer.export", "indexer.tables"},
    "pydantic": {"app"},
    "ray": {"indexer.ray_cluster"},
    "rich": {"indexer.cli", "indexer.report"},
    "safetensors": {"indexer.static"},
    "scipy": {
        "indexer.calibration",
        "indexer.confidence",
        "indexer.evidence",
        "indexer.items",
        "indexer.lexical",
        "indexer.meetings",
        "indexer.pools",
        "indexer.replication",
        "indexer.static",
        "indexer.tails",
    },
    "sentence_transformers": {"indexer.encode", "indexer.weights"},
    "sqlalchemy": {
        "indexer.acts",
        "indexer.bank",
        "indexer.blocks",
        "indexer.database",
        "indexer.insertion",
        "indexer.keys",
        "indexer.migrations",
        "indexer.postgres",
        "indexer.schema",
        "indexer.sqlite",
        "indexer.store",
        "indexer.verdicts",
    },
    "starlette": {"app"},
    "stix2": {"indexer.stix"},
    "umap": {"indexer.projection"},
    "tokenizers": {"indexer.wordpieces"},
    "threadpoolctl": {"indexer.threads"},
    "torch": {"indexer.weights"},
    "transformers": {"indexer.weights"},
    "typer": {"indexer.cli", "indexer.report"},
    "uvicorn": {"app"},
    "zstandard": {"indexer.readers", "indexer.export"},
}

Imports = Mapping[str, Set[str]]


def imported_names(source: str, where: str = "") -> set[str]:
    """Every dotted name the source imports, inside functions too; for `from a import b` both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where}:{node.lineno}: relative import"
            module = str(node.module)
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def read_imports() -> dict[str, set[str]]:
    paths = [path for floor in FLOORS for path in (ROOT / floor).rglob("*.py")]
    return {module_of(path): imported_names(path.read_text(encoding="utf-8"), str(path)) for path in paths}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def package_of(name: str) -> str:
    return name.partition(".")[0]


def climbing(imports: Imports) -> list[str]:
    """Imports of a higher floor."""
    rank = {floor: number for number, floor in enumerate(FLOORS)}
    return sorted(
        f"{module} imports {name}"
        for module, names in imports.items()
        for name in names
        if rank.get(package_of(name), 0) > rank[package_of(module)]
    )


def circular(imports: Imports) -> list[str]:
    """The modules of one import cycle, empty if there is none."""
    try:
        TopologicalSorter({module: names & imports.keys() for module, names in imports.items()}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def trespassing(imports: Imports) -> list[str]:
    """Imports of a heavy library by a module that is not its door."""
    return sorted(
        {
            f"{module} imports {package_of(name)}"
            for module, names in imports.items()
            for name in names
            if not is_within(module, DOORS.get(package_of(name), {module}))
        }
    )


def is_within(module: str, doors: Set[str]) -> bool:
    return any(module == door or module.startswith(f"{door}.") for door in doors)


IMPORTS = read_imports()


def test_imports_only_go_down() -> None:
    assert climbing(IMPORTS) == []


def test_there_are_no_import_cycles() -> None:
    assert circular(IMPORTS) == []


def test_heavy_libraries_have_one_door() -> None:
    assert trespassing(IMPORTS) == []


@pytest.mark.parametrize("tier", ["static", "minilm", "minilm-int8"])
def test_serving_loads_nothing_that_only_reindexing_needs(tier: str) -> None:
    code = (
        "import os, sys, app.main, app.worker, indexer.engine, indexer.search; "
        "from indexer.encode import load_encoder; "
        "from indexer.settings import load_settings; "
        f"load_encoder('{tier}', load_settings(None, os.environ).weights).encode(['some text']); "
        "heavy = ('torch', 'sentence_transformers', 'transformers', 'onnx', 'numba', 'hdbscan', 'scipy.stats'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_models_load_nothing_heavy() -> None:
    names = sorted(module for module in IMPORTS if package_of(module) == "models")
    heavy = sorted(set(DOORS) - {"confusable_homoglyphs"} | {"numpy", "msgspec"})
    code = f"import sys, {', '.join(names)}; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


# The rules themselves, on imports that break them.


def test_the_whole_repository_is_read() -> None:
    assert {"models.text", "indexer.jobs", "app.main", "app"} <= IMPORTS.keys()
    assert {"models.errors", "models.errors.Busy"} <= IMPORTS["indexer.jobs"]


def test_imports_are_found_wherever_they_stand() -> None:
    source = "import a.b\nfrom c import d as e\ndef f():\n    if g:\n        import h\n"
    assert imported_names(source) == {"a.b", "c", "c.d", "h"}


@pytest.mark.parametrize("source", ["from . import b", "from .a import b", "def f():\n    from .. import b"])
def test_a_relative_import_is_refused(source: str) -> None:
    with pytest.raises(AssertionError, match="relative import"):
        imported_names(source)


def test_climbing_is_noticed() -> None:
    imports = {
        "models.a": {"indexer.b", "json"},
        "indexer.b": {"app.c", "models.a"},
        "app.c": {"indexer.b", "app.d"},
    }
    assert climbing(imports) == ["indexer.b imports app.c", "models.a imports indexer.b"]


def test_a_cycle_is_noticed() -> None:
    assert set(circular({"app.a": {"app.b"}, "app.b": {"app.c"}, "app.c": {"app.a"}})) == {
        "app.a",
        "app.b",
        "app.c",
    }
    assert circular({"app.a": {"app.b", "json"}, "app.b": set()}) == []


def test_trespassing_is_noticed() -> None:
    imports = {
        "indexer.index": {"faiss"},
        "indexer.index_more": {"faiss.contrib"},
        "indexer.migrations.env": {"alembic"},
    }
    assert trespassing(imports) == ["indexer.index_more imports faiss"]


def test_the_calibration_script_finds_all_that_it_imports() -> None:
    """No type checker reads it, as its name says nothing of Python."""
    command = [sys.executable, str(ROOT / "scripts" / "calibrate"), "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
