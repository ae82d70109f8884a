"""Functions compiled to machine code. The only door to numba.

Compiled code is kept beside the module, or in the user's cache folder, so that only the first run compiles.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

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
