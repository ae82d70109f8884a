"""How many threads a product of matrices takes while serving: one. The only door to threadpoolctl."""

from threadpoolctl import threadpool_limits


def settle_for_one() -> None:
    """Each of the small products of a match would else wake other cores up, which takes longer than the product
    and holds up what runs there. From now on, in the whole process; a reindex is a process of its own.
    """
    threadpool_limits(1)
