"""The heap of the server: what lives as long as a generation need not be searched for garbage again and again."""

import gc

_YOUNG = 1  # the generations of objects that are soon looked through


def settle() -> None:
    """Takes all objects that live now out of the garbage collector's sight. They are freed all the same once
    nothing refers to them, unless they refer to one another in a circle.

    Campaigns are hundreds of thousands of objects. A full collection walks through all of them, and holds up every
    request for a tenth of a second meanwhile.
    """
    gc.collect(_YOUNG)
    gc.freeze()
