"""How many threads a product of matrices takes. The only door to threadpoolctl."""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


def settle_for_one() -> None:
    """Each of the small products of a match would else wake other cores up, which takes longer than the product
    and holds up what runs there. From now on, in the whole process; a reindex is a process of its own.
    """
    threadpool_limits(1)


@contextmanager
def one_thread_of_openmp() -> Iterator[None]:
    """Inside it, for what FAISS does in this thread beside others that are at work: its own would wait for one
    another on cores that these have. Limits of OpenMP are a thread's own, so nobody else is held up.
    """
    with threadpool_limits(1, user_api="openmp"):
        yield


@contextmanager
def one_thread_a_product() -> Iterator[None]:
    """Inside it, for work that has threads of its own, each with a block that fits its core's cache."""
    with threadpool_limits(1):
        yield
