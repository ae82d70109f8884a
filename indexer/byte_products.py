"""Products of unit rows by their bytes: some four times as many a second as of float32, most of them right to one
or two thousandths, and to far less among near-duplicates. For choosing what is then measured exactly. The only
door to ONNX Runtime but for what encodes.

Rows that lie near to one another are taken as what they differ in from their middle c: x y = x c + x (y - c). The
first is exact, and the second is small where they lie close together, and its error with it. For the second each
row is rounded to 255 steps of its own. Products of whole numbers are exact, so they do not depend on how the work
is divided.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled, compiled_sums
from indexer.vectors import FloatArray

ByteArray = NDArray[np.uint8]
SignedArray = NDArray[np.int8]
WholeArray = NDArray[np.int32]

_STEPS: Final = 127  # on either side of zero
_ZERO: Final = np.array(128, np.uint8)  # what stands for zero where bytes have no sign
_OPSET: Final = 17
_IR_VERSION: Final = 8
_TINY: Final = np.float32(1e-30)
_FEW: Final = 32  # rows that are held against a cell, for which it pays no more to round the cell


def cosines_with(rows: FloatArray, askers: int) -> Callable[[FloatArray], FloatArray]:
    """Gives the cosines of unit rows (m, d) with these (n, d), (m, n) float32: by bytes if that is the shorter way
    for so many askers, and if this machine can. Safe to share between threads.
    """
    if askers < _FEW or not are_bytes_exact():
        return lambda others: others @ rows.T
    return ByteRows(rows).cosines


class ByteRows:
    """Some unit rows that others are held against, by bytes. Safe to share between threads."""

    def __init__(self, rows: FloatArray) -> None:
        """rows: (n, d) float32, n >= 1, finite; best if they lie near to one another."""
        self._middle = rows.mean(axis=0)
        rounded, self._steps = np.empty(rows.shape, np.int8), np.empty(len(rows), np.float32)
        _round_differences(rows, self._middle, rounded, self._steps)
        self._bytes = np.ascontiguousarray(rounded.T)

    def cosines(self, rows: FloatArray) -> FloatArray:
        """Of unit rows (m, d) with these, (m, n) float32."""
        rounded, steps = np.empty(rows.shape, np.uint8), np.empty(len(rows), np.float32)
        with_middle = np.empty(len(rows), np.float32)
        _round(rows, self._middle, rounded, steps, with_middle)
        products = _multiply(rounded, self._bytes)
        found = np.empty(products.shape, np.float32)
        _put_together(products, with_middle, steps, self._steps, found)
        return found


@cache
def are_bytes_exact() -> bool:
    """Whether this machine multiplies bytes exactly. Processors without instructions for it add up in 16 bits,
    which are too few; there rows are multiplied in float32.
    """
    greatest = np.full((3, 64), _STEPS, np.int32) * np.array([[1], [-1], [1]])
    greatest[2, ::2] *= -1
    found = _multiply((greatest + int(_ZERO)).astype(np.uint8), greatest.T.astype(np.int8))
    return bool((found == greatest @ greatest.T).all())


def _multiply(rows: ByteArray, columns: SignedArray) -> WholeArray:
    """Product of (m, d), of which _ZERO means zero, and (d, n)."""
    found: WholeArray = _network().run(None, {"rows": rows, "columns": columns, "zero": _ZERO})[0]
    return found


@cache
def _network() -> Any:
    """The product as ONNX Runtime has it, each call by one thread. Loaded when it is wanted: most commands never
    multiply.
    """
    import onnxruntime
    from onnx import TensorProto, helper

    product = helper.make_graph(
        [helper.make_node("MatMulInteger", ["rows", "columns", "zero"], ["product"])],
        "product",
        [
            helper.make_tensor_value_info("rows", TensorProto.UINT8, [None, None]),
            helper.make_tensor_value_info("columns", TensorProto.INT8, [None, None]),
            helper.make_tensor_value_info("zero", TensorProto.UINT8, []),
        ],
        [helper.make_tensor_value_info("product", TensorProto.INT32, [None, None])],
    )
    model = helper.make_model(product, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@compiled_sums
def _round(
    rows: FloatArray, middle: FloatArray, rounded: ByteArray, steps: FloatArray, with_middle: FloatArray
) -> None:
    """Rows (m, d) as numbers of steps, (m, d), the length of a step in each, (m,), and the product of each with
    the middle (d,), (m,).
    """
    for row in range(len(rows)):
        greatest, total = _TINY, np.float32(0)
        for axis in range(rows.shape[1]):
            greatest = max(greatest, abs(rows[row, axis]))
            total += rows[row, axis] * middle[axis]
        scale = np.float32(_STEPS) / greatest
        for axis in range(rows.shape[1]):
            # Half is added because what follows the point is cut off, and all is positive.
            rounded[row, axis] = np.uint8(np.int32(rows[row, axis] * scale + np.float32(128.5)))
        steps[row] = greatest / np.float32(_STEPS)
        with_middle[row] = total


@compiled_sums
def _round_differences(rows: FloatArray, middle: FloatArray, rounded: SignedArray, steps: FloatArray) -> None:
    """The same of what rows differ in from the middle."""
    for row in range(len(rows)):
        greatest = _TINY
        for axis in range(rows.shape[1]):
            greatest = max(greatest, abs(rows[row, axis] - middle[axis]))
        scale = np.float32(_STEPS) / greatest
        for axis in range(rows.shape[1]):
            difference = (rows[row, axis] - middle[axis]) * scale
            rounded[row, axis] = np.int8(np.int32(difference + np.float32(128.5)) - np.int32(128))
        steps[row] = greatest / np.float32(_STEPS)


@compiled
def _put_together(
    products: WholeArray, with_middle: FloatArray, steps: FloatArray, their_steps: FloatArray, found: FloatArray
) -> None:
    """Cosines: of each row with the middle, and with what the others differ in from it."""
    for row in range(len(products)):
        for other in range(products.shape[1]):
            found[row, other] = with_middle[row] + np.float32(products[row, other]) * (
                steps[row] * their_steps[other]
            )
