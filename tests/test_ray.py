"""A reindex on a Ray cluster of two nodes, of which one dies while texts are encoded and one while vectors are
compared: it comes to the end, and to the same.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from test_killed import published
from traffic import NOW, settings_of, store_rows

from indexer import encoders
from indexer import finding as module
from indexer.crew import local_crew, ray_crew
from indexer.encode import load_encoder
from indexer.reindex import reindex
from indexer.sample import load_texts
from indexer.settings import Settings
from indexer.simulate import WorldSpec, simulate
from indexer.store import Store
from models.errors import Unreachable

ray_utils: Any = pytest.importorskip("ray.cluster_utils", reason="needs `pip install stillwatch[ray]`")

CLUSTERED = "cluster whole text"


class Nodes:
    """A head that works on nothing, and one node at a time beside another; kills one when a stage is under way."""

    def __init__(self) -> None:
        self.cluster = ray_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        self.nodes = [self.cluster.add_node(num_cpus=1) for _ in range(2)]
        self.killed: list[str] = []
        self._stage = ""

    def stage(self, name: str, total: int | None) -> None:
        """Told by the reindex."""
        self._stage = name
        if name == CLUSTERED:
            self._kill()

    def advance(self, n: int = 1) -> None:
        """The first batch that was encoded has told that both are at work."""
        if not self.killed:
            self._kill()

    def done(self) -> None:
        """Nothing."""

    def _kill(self) -> None:
        self.cluster.remove_node(self.nodes.pop(0), allow_graceful=False)
        self.killed.append(self._stage)
        self.nodes.append(self.cluster.add_node(num_cpus=1))


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    nodes = Nodes()
    yield nodes
    nodes.cluster.shutdown()


@pytest.fixture
def world(tmp_path: Path) -> tuple[Settings, Settings]:
    """The same traffic twice."""
    spec = WorldSpec(events=8_000, campaigns=3, start=datetime(2026, 2, 1, tzinfo=UTC))
    rows = [event.row for event in simulate(spec, load_texts(), seed=12)]
    both = settings_of(tmp_path / "one"), settings_of(tmp_path / "other")
    for each in both:
        store_rows(each, rows)
    return both


def test_nodes_that_die_are_not_missed(
    world: tuple[Settings, Settings], nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = world
    monkeypatch.setattr(module, "EXACT_LIMIT", 1_000)  # or so few texts would be compared here
    monkeypatch.setattr(encoders, "_PART_TEXTS", 200)
    monkeypatch.setattr("indexer.cache.BATCH_TEXTS", 1_000)
    encoder = load_encoder(here.encoder, here.weights)
    for settings, engage in ((here, lambda: local_crew(2)), (there, lambda: ray_crew(nodes.cluster.address))):
        with Store.open(settings.database) as store:
            report = reindex(
                settings, store, encoder, lambda: NOW, nodes if settings is there else Quiet(), engage=engage
            )
        assert report.published
    assert [each.startswith("encode") for each in nodes.killed] == [True, False]
    assert nodes.killed[1] == CLUSTERED
    assert published(there.data) == published(here.data)


class Quiet:
    """Progress that says nothing."""

    def stage(self, name: str, total: int | None) -> None: ...
    def advance(self, n: int = 1) -> None: ...
    def done(self) -> None: ...


def test_no_cluster_is_said_at_once() -> None:
    with pytest.raises(Unreachable, match=r"no Ray cluster answers at 127.0.0.1:1"), ray_crew("127.0.0.1:1"):
        pass
