"""Acts are kept for good, on every kind of database."""

from datetime import UTC, datetime, timedelta

from indexer.store import Store
from models.act import Act, ActKind

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_acts_about_a_subject_are_told_the_newest_first(store: Store) -> None:
    acts = [
        Act(ActKind.REVEAL, "a-1", "", f"mira {n}", "asked by legal 🙂", NOW + timedelta(seconds=n))
        for n in range(4)
    ]
    for act in acts:
        store.acts.add(act)
    store.acts.add(Act(ActKind.EXPORT, "c-1", "csv", "jo", "case 7", NOW))
    found = store.acts.of(["a-1"], 3)
    assert [each.author for each in found] == ["mira 3", "mira 2", "mira 1"]
    assert found[0].note == "asked by legal 🙂"
    assert found[0].at == NOW + timedelta(seconds=3)
    (export,) = store.acts.of(["c-1"], 3)
    assert (export.kind, export.detail) == (ActKind.EXPORT, "csv")
    assert [each.subject for each in store.acts.of(["c-1", "a-1"], 2)] == ["c-1", "a-1"]
    assert store.acts.of(["c-1", "a-1"], 9, ActKind.EXPORT) == [export]
    assert store.acts.of(["a-1"], 9, ActKind.EXPORT_NAMES) == []
    assert store.acts.of(["nothing"], 3) == store.acts.of([], 3) == []
