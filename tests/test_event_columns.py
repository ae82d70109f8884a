"""What the columns of a generation let pass is what a look at each event does, rounded to seconds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from traffic import START, run_reindex, settings_of, store_rows

from indexer import layout
from indexer.event_columns import EventColumns
from indexer.generation import open_current
from models.event import parse_event
from models.search import SearchQuery

ACCOUNTS = ("a", "ab", "b", "Ä", "\U0001f600", "zz")
MODELS = (None, "m-4", "m-40", "m-5")


def rows() -> list[dict[str, Any]]:
    """Events of all accounts and models, some of them of one prompt, half a second apart."""
    return [
        {
            "event_id": f"e{number}",
            "account_id": ACCOUNTS[number % len(ACCOUNTS)],
            "timestamp": (START + timedelta(seconds=number / 2)).isoformat(),
            "prompt": f"prompt {number % 17} of them all",
            **({"model": model} if (model := MODELS[number // 3 % len(MODELS)]) else {}),
        }
        for number in range(60)
    ]


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> tuple[EventColumns, list[bytes]]:
    """The columns, and the fingerprints of the prompts."""
    settings = settings_of(tmp_path_factory.mktemp("columns"))
    store_rows(settings, rows())
    run_reindex(settings)
    generation = open_current(settings.generations)
    prints = np.asarray(generation.array(layout.FINGERPRINTS), np.uint8)
    return EventColumns.of(generation), [each.tobytes() for each in prints]


@given(
    account=st.sampled_from((None, *ACCOUNTS, "", "aa", "zzz")),
    model=st.sampled_from((*MODELS, "m", "n")),
    since=st.none() | st.integers(-2, 40),
    until=st.none() | st.integers(-2, 40),
)
def test_prompts_that_pass_equal_a_look_at_each_event(
    columns: tuple[EventColumns, list[bytes]],
    account: str | None,
    model: str | None,
    since: int | None,
    until: int | None,
) -> None:
    found, prints = columns
    first, last = (None if each is None else START + timedelta(seconds=each) for each in (since, until))
    passing = found.passing(
        SearchQuery("x", account_id=account, model=model, since=first, until=last), len(prints)
    )
    if account is model is since is until is None:
        assert passing is None
        return
    events = [parse_event(each, datetime.now(UTC)) for each in rows()]
    expected = {
        each.prompt.fingerprint()
        for each in events
        if account in (None, each.account_id)
        and model in (None, each.model)
        and (first is None or each.timestamp.replace(microsecond=0) >= first)
        and (last is None or each.timestamp.replace(microsecond=0) <= last)
    }
    assert passing is not None
    assert {prints[row] for row in np.flatnonzero(passing)} == expected


def test_a_time_within_a_second_misses_nothing(columns: tuple[EventColumns, list[bytes]]) -> None:
    found, prints = columns
    half = START + timedelta(seconds=29.5)  # of the last event, which is alone in this half second
    passing = found.passing(SearchQuery("x", since=half), len(prints))
    assert passing is not None
    assert passing.any()


def test_events_have_the_organisation_they_were_sent_for(tmp_path: Path) -> None:
    """One whose name looks like a unit, an account that was of two, and a generation that kept none."""
    settings, names = settings_of(tmp_path), (None, "org:acme", "acme")
    given = [{**each, "org_id": names[number % 3]} for number, each in enumerate(rows())]
    store_rows(settings, given)
    run_reindex(settings)
    generation = open_current(settings.generations)
    column = EventColumns.of(generation).organisation
    assert [column.name(code) for code in column.codes.tolist()] == [each["org_id"] for each in given]
    assert list(column.names) == ["acme", "org:acme"]
    kept = {layout.EVENT_CAMPAIGN, "events.organisation.npy"}
    files = tuple(each for each in generation.manifest.files if each.name not in kept)
    earlier = EventColumns.of(replace(generation, manifest=replace(generation.manifest, files=files)))
    assert set(earlier.organisation.codes.tolist()) == {-1}
    assert (len(earlier.organisation.codes), list(earlier.organisation.names)) == (60, [])
    now = EventColumns.of(generation)
    group = np.asarray(generation.array(layout.GROUP))
    assert now.campaign.tolist() == earlier.campaign.tolist() == group[now.prompt].tolist()


def test_a_column_without_names_lets_nothing_pass(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    store_rows(settings, [{**each, "model": None} for each in rows()])
    run_reindex(settings)
    passing = EventColumns.of(open_current(settings.generations)).passing(SearchQuery("x", model="m-4"), 17)
    assert passing is not None
    assert not passing.any()
