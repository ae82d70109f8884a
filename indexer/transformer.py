"""The MiniLM tiers on ONNX Runtime, in single precision or with 8-bit products. The only door to onnxruntime
for what serves.

A text is run alone, on one core. So its vector does not depend on what it was encoded with (no padding, no scale
that a batch shares, no other order of sums), and a request takes no more cores than another; several texts run on
as many cores as there are, which is as quick as a batch.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from indexer.vectors import FloatArray, normalise, stored_precision
from indexer.weights import INPUT, NETWORK, TOKENIZER
from indexer.windows import encoded_together
from indexer.wordpieces import WordPieces
from models.errors import WeightsUnusable
from models.space import EmbeddingSpace

WINDOW_TOKENS: Final = 256  # what MiniLM was trained to see
_ERRORS_ONLY: Final = 3
# The library's errors have no common parent.
_UNREADABLE: Final = (
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.NoSuchFile,
)


class TransformerEncoder:
    """A network from tokens to one vector. Safe to share between threads.

    threads: how many texts are encoded at the same time.
    """

    def __init__(self, network: Any, pieces: WordPieces, space: EmbeddingSpace, threads: int) -> None:
        self._network = network
        self._pieces = pieces
        self._space = space
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"encode-{space.name}")

    @classmethod
    def read(
        cls, folder: Path, name: str, revision: str, precision: str, threads: int = 1
    ) -> "TransformerEncoder":
        """Encoder of a folder with a network and its tokenizer. Raises WeightsUnusable."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # which pays where all inputs are equally long
        options.log_severity_level = _ERRORS_ONLY
        try:
            network = onnxruntime.InferenceSession(
                str(folder / NETWORK), options, providers=["CPUExecutionProvider"]
            )
            dimension = network.get_outputs()[0].shape[-1]
        except _UNREADABLE as error:
            raise WeightsUnusable(f"{folder / NETWORK} cannot be read: {error}") from error
        space = EmbeddingSpace(name, revision, dimension, precision, normalised=True, window=WINDOW_TOKENS)
        return cls(network, WordPieces.read(folder / TOKENIZER), space, threads)

    @property
    def space(self) -> EmbeddingSpace:
        return self._space

    def windows(self, text: str) -> list[str]:
        return self._pieces.windows(text, self._space.window)

    def cut(self, texts: Sequence[str]) -> list[list[str]]:
        return self._pieces.cut(texts, self._space.window)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """As of any encoder; of a text longer than the window only its beginning is seen."""
        rows = np.zeros((len(texts), self._space.dimension), np.float32)
        numbers = self._pieces.numbers(texts, special=True)
        vectors = map(self._run, numbers) if len(numbers) == 1 else self._pool.map(self._run, numbers)
        for row, vector in enumerate(vectors):
            rows[row] = vector
        return stored_precision(normalise(rows))

    def encode_windows(self, texts: Sequence[str]) -> list[FloatArray]:
        return encoded_together([self.windows(text) for text in texts], self.encode)

    def _run(self, numbers: Sequence[int]) -> FloatArray:
        """Mean token vector, (dimension,), of a text given as tokens between [CLS] and [SEP]."""
        if len(numbers) > self._space.window:
            numbers = [*numbers[: self._space.window - 1], numbers[-1]]
        vector: FloatArray = self._network.run(None, {INPUT: np.array([numbers], np.int64)})[0][0]
        return vector
