"""Settings come from the command line, then the environment, then the defaults; a bad one is named."""

import os
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from indexer.settings import MIB, Detection, Settings, load_settings
from models.errors import BadSettings


def test_defaults() -> None:
    folder = Path.cwd() / "stillwatch-data"
    assert load_settings(None, {}) == Settings(
        data=folder,
        database=f"sqlite:///{folder}/stillwatch.db",
        encoder="static",
        weights=Path(sys.prefix) / "share" / "stillwatch",
        host="127.0.0.1",
        port=8765,
        max_prompt_chars=MIB,
        max_body_bytes=8 * MIB,
        detection=Detection(),
    )


def test_everything_from_the_environment() -> None:
    environ = {
        "STILLWATCH_DATA": "/srv/watch",
        "STILLWATCH_DATABASE": "postgresql://db/watch",
        "STILLWATCH_ENCODER": "minilm",
        "STILLWATCH_WEIGHTS": "/srv/weights",
        "STILLWATCH_HOST": "0.0.0.0",
        "STILLWATCH_PORT": "80",
        "STILLWATCH_GRAM_TEXTS": "9",
        "STILLWATCH_WHOLE_CEILING_RATE": "1e-4",
        "UNRELATED": "x",
    }
    assert load_settings(None, environ) == Settings(
        data=Path("/srv/watch"),
        database="postgresql://db/watch",
        encoder="minilm",
        weights=Path("/srv/weights"),
        host="0.0.0.0",
        port=80,
        detection=Detection(gram_texts=9, whole_ceiling_rate=1e-4),
    )


@pytest.mark.parametrize("name", [field.name for field in fields(Detection)])
def test_every_number_of_detection_has_a_variable(name: str) -> None:
    default = getattr(Detection(), name)
    wanted: Any = default / 2 if isinstance(default, float) else default + 1
    found = load_settings(None, {f"STILLWATCH_{name.upper()}": str(wanted)})
    assert found.detection == replace(Detection(), **{name: wanted})
    assert type(getattr(found.detection, name)) is type(default)


def test_the_command_line_wins() -> None:
    environ = {"STILLWATCH_DATA": "/srv/watch", "STILLWATCH_ENCODER": "minilm"}
    found = load_settings(Path("/mine"), environ, encoder="static")
    assert (found.data, found.encoder) == (Path("/mine"), "static")
    assert found.database == "sqlite:////mine/stillwatch.db"


def test_a_relative_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load_settings(Path("here"), {})
    assert found.data == tmp_path / "here"
    os.chdir("/")  # and stays where it was
    assert found.generations == tmp_path / "here" / "generations"
    assert (found.vectors, found.rejects) == (tmp_path / "here" / "vectors", tmp_path / "here" / "rejects")


def test_an_empty_variable_is_not_given() -> None:
    names = ("DATA", "DATABASE", "ENCODER", "WEIGHTS", "HOST", "PORT", "MIN_UNITS")
    assert load_settings(None, {f"STILLWATCH_{name}": "" for name in names}) == load_settings(None, {})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("STILLWATCH_PORT", "http", "STILLWATCH_PORT is 'http', not a number of type int"),
        ("STILLWATCH_MIN_UNITS", "8.5", "STILLWATCH_MIN_UNITS is '8.5', not a number of type int"),
        (
            "STILLWATCH_RECURRING_CEILING",
            "high",
            "STILLWATCH_RECURRING_CEILING is 'high', not a number of type float",
        ),
        ("STILLWATCH_MIN_UNITS", "0", "min_units is 0; it must be positive"),
        ("STILLWATCH_GRAM_TEXTS", "-3", "gram_texts is -3; it must be positive"),
        ("STILLWATCH_WHOLE_CEILING_RATE", "nan", "whole_ceiling_rate is nan; it must be positive"),
        ("STILLWATCH_WHOLE_CEILING_RATE", "inf", "whole_ceiling_rate is inf; it must be positive"),
        ("STILLWATCH_WHOLE_CEILING_RATE", "1.5", "whole_ceiling_rate is 1.5; a share below 1 is needed"),
        ("STILLWATCH_RECURRING_CEILING", "1", "recurring_ceiling is 1.0; a cosine below 1 is needed"),
        ("STILLWATCH_REMEMBER", "1", "STILLWATCH_REMEMBER is '1', neither yes nor no"),
        ("STILLWATCH_NEIGHBOURS", "4", "min_samples is 5, more than neighbours, 4"),
    ],
)
def test_bad_values_are_named(name: str, value: str, message: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings(None, {name: value})
    assert str(caught.value) == message


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_out_of_range_is_refused(tmp_path: Path, port: str) -> None:
    with pytest.raises(BadSettings, match=f"STILLWATCH_PORT is {port}, not a port from 0 to 65535"):
        load_settings(tmp_path, {"STILLWATCH_PORT": port})
