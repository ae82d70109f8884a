"""A Ray cluster that does the heavy work of a reindex. The only door to Ray, which is not installed by
default: `pip install stillwatch[ray]`, the same version on every node.

Work goes out as questions of some megabytes, each answered by a task that holds nothing afterwards; so a node
that dies takes nothing with it but the questions it was at, which Ray puts to others.
"""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from models.errors import BadSettings, Unreachable

_CLIENT: Final = "ray://"
_REACH_S: Final = 10.0
_LOOK_S: Final = 30.0  # between two looks whether anybody is there who could answer
_RETRIES: Final = 10  # of a question whose node has died

_log = logging.getLogger(__name__)

Answer = Callable[[bytes], bytes]


class RayTasks:
    """Answers questions with tasks on a cluster, all by one function, which must depend on the question alone."""

    def __init__(self, ray: Any, answer: Answer, cores: int) -> None:
        self.count = cores
        self._ray = ray
        self._task = ray.remote(answer).options(num_cpus=1, max_retries=_RETRIES)

    @property
    def is_at_work(self) -> bool:
        """It always is."""
        return True

    def ask(self, question: bytes) -> Callable[[], bytes | None]:
        """Hand a question in, and get what waits for the answer: None if no node could give it."""
        reference = self._task.remote(question)

        def wait() -> bytes | None:
            try:
                while not self._ray.wait([reference], timeout=_LOOK_S)[0]:
                    if not self._ray.cluster_resources().get("CPU"):
                        _log.warning("no node of the cluster is left to answer")
                        return None
                found: bytes = self._ray.get(reference)
            except (self._ray.exceptions.RayError, ConnectionError) as error:
                _log.warning("a task has failed on the cluster reason=%s", type(error).__name__)
                return None
            return found

        return wait


class RayCluster:
    """A cluster that this process is connected to."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def tasks(self, answer: Answer) -> RayTasks:
        """Tasks that answer by a function of a module which every node has."""
        return RayTasks(self._ray, answer, max(1, int(self._ray.cluster_resources().get("CPU", 1))))


def _reach(address: str) -> None:
    """Raises Unreachable at once if nobody listens at an address: Ray would try for minutes."""
    host, _, port = address.removeprefix(_CLIENT).rpartition(":")
    if not host or not port.isdecimal():
        return  # "auto", or whatever Ray may make of it
    try:
        socket.create_connection((host, int(port)), _REACH_S).close()
    except OSError as error:
        raise Unreachable(f"no Ray cluster answers at {address}: {error}") from error


@contextmanager
def connected(address: str) -> Iterator[RayCluster]:
    """The cluster at an address: "auto" for the one that runs here, HOST:PORT, or ray://HOST:PORT.

    Raises BadSettings without Ray, and Unreachable if no cluster answers.
    """
    try:
        import ray  # it takes a second, and only this needs it
    except ImportError as error:
        raise BadSettings("the engine ray needs `pip install stillwatch[ray]`") from error
    _reach(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise Unreachable(f"no Ray cluster answers at {address}: {error}") from error
    try:
        yield RayCluster(ray)
    finally:
        ray.shutdown()
