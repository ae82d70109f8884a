"""Who does the heavy work of a reindex: processes and threads of this machine, or a Ray cluster."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from indexer import encoders, remote
from indexer.children import Children
from indexer.encoders import Encoders
from indexer.ray_cluster import connected
from indexer.remote import RemoteGraph


@dataclass(frozen=True, slots=True)
class Crew:
    """encoders: they take texts apart and encode them. graph: they compare vectors and cluster trees; None if this
    process does.
    """

    encoders: Encoders
    graph: RemoteGraph | None


Engage = Callable[[], AbstractContextManager[Crew]]


@contextmanager
def local_crew(cores: int) -> Iterator[Crew]:
    """Of so many cores of this machine."""
    with Children(encoders.__name__, cores) as children:
        yield Crew(Encoders(children), None)


@contextmanager
def ray_crew(address: str) -> Iterator[Crew]:
    """Of the Ray cluster at an address, see `indexer.ray_cluster.connected`."""
    with connected(address) as cluster:
        yield Crew(Encoders(cluster.tasks(encoders.answer)), RemoteGraph(cluster.tasks(remote.answer)))
