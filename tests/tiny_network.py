"""A network small enough to reason about: the mean of one fixed vector a token."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TINY_VOCABULARY = 30_522  # as many tokens as MiniLM's tokenizer has


def token_vectors(dimension: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((TINY_VOCABULARY, dimension)).astype(np.float32)


def write_network(path: Path, dimension: int) -> None:
    """Tokens (1, n) in, their mean vector (1, dimension) out."""
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["looked_up"]),
            helper.make_node("ReduceMean", ["looked_up", "axes"], ["pooled"], keepdims=0),
        ],
        "tiny",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
        [helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [1, dimension])],
        [
            numpy_helper.from_array(token_vectors(dimension), "table"),
            numpy_helper.from_array(np.array([1], np.int64), "axes"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
