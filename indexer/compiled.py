"""Functions compiled to machine code. The only door to numba and to llvmlite, which writes its code.

Compiled code is kept beside the module, or in the user's cache folder, so that only the first run compiles. It is
compiled anew when its own file changes, but not when that of a function it calls does: then delete what is kept.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba.core.cgutils import get_item_pointer
from numba.extending import intrinsic
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """The function compiled for the types that it is first called with, and run without the interpreter's lock, so
    that threads run side by side. It must use nothing but numbers, arrays, loops and other compiled functions.
    """
    return _compiled(function, set())


def compiled_sums(function: Function) -> Function:
    """The same where sums may be added up in any order, which lets several numbers be added at a time."""
    return _compiled(function, {"reassoc", "contract", "nsz"})


def _compiled(function: Function, freedoms: set[str]) -> Function:
    try:
        machine_code = numba.njit(cache=True, nogil=True, fastmath=freedoms)(function)
    except RuntimeError:  # neither folder can be written: every process compiles for itself
        machine_code = numba.njit(nogil=True, fastmath=freedoms)(function)
    return cast(Function, machine_code)


def _fetch(typing: Any, array: Any, index: Any) -> Any:
    """Type and code of `fetch`, as numba asks for them."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        entries = context.make_array(signature.args[0])(context, builder, given[0])
        entry = get_item_pointer(context, builder, signature.args[0], entries, [given[1]])  # type: ignore[no-untyped-call]
        place = builder.bitcast(entry, ir.IntType(8).as_pointer())
        hint = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, hint, hint, hint])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
        builder.call(prefetch, [place, hint(0), hint(3), hint(1)])  # to read, to be kept, of data
        return context.get_dummy_value()

    return numba.void(array, numba.intp), code


fetch = cast("Callable[[NDArray[Any], int], None]", intrinsic(_fetch))
"""In compiled functions, fetch(array, index) has the processor bring an entry of an array (n,) that is needed soon
into its caches while it goes on. It changes nothing else.
"""
