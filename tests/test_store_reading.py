"""What is read from the store: event tables, prompts, and the events of prompts."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored import START, event, raw, seconds

from indexer import store as store_module
from indexer.store import PromptEvents, Store, StoredPrompt
from models.errors import NotFound
from models.prompt import Prompt


def test_the_event_table_holds_every_column(store: Store) -> None:
    store.add_events(
        [
            event(1, account_id="a", org_id="o", model="m1", payment_id="p", network="n1"),
            event(2, account_id="b", org_id="o", model="m2", account_created_at=START - timedelta(days=1)),
            event(3, account_id="a", network="n2", prompt=Prompt("", "prompt 1")),
            event(4, account_id="o", org_id="", model="m1", timestamp=START + timedelta(seconds=9.9)),
            event(5),
        ]
    )
    table = store.event_table(4)
    start = int(START.timestamp())
    assert table.sequence.tolist() == [1, 2, 3, 4]
    assert table.prompt.tolist() == [1, 2, 1, 3]
    assert table.timestamp.tolist() == [start + 1, start + 2, start + 3, start + 9]
    assert table.created_at.tolist() == [-1, start - 86400, -1, -1]
    assert [table.account_names.name(code) for code in table.account.tolist()] == ["a", "b", "a", "o"]
    assert [table.unit_names.name(code) for code in table.unit.tolist()] == [
        "org:o",
        "org:o",
        "account:a",
        "account:o",
    ]
    assert [table.model_names.name(code) for code in table.model.tolist()] == ["m1", "m2", None, "m1"]
    assert [table.payment_names.name(code) for code in table.payment.tolist()] == ["p", None, None, None]
    assert [table.network_names.name(code) for code in table.network.tolist()] == ["n1", None, "n2", None]
    assert sorted(table.account_names.values) == ["a", "b", "o"]
    assert sorted(table.unit_names.values) == ["account:a", "account:o", "org:o"]
    assert {column.dtype for column in (table.unit, table.created_at, table.network)} == {np.dtype(np.int64)}


def test_the_event_table_is_read_in_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_TABLE_ROWS_A_QUERY", 3)
    store.add_events([event(number) for number in range(8)])
    assert store.event_table(7).sequence.tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_streams_come_in_order_in_batches_and_stop_at_the_watermark(store: Store) -> None:
    store.add_events([event(number) for number in range(7)])
    store.add_events([event(8, prompt=Prompt("", "prompt 0"))])
    assert list(store.event_ids(5, batch=2)) == [[(1, "e0"), (2, "e1")], [(3, "e2"), (4, "e3")], [(5, "e4")]]
    batches = list(store.prompts(5, batch=2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    found = [prompt for batch in batches for prompt in batch]
    assert [prompt.fingerprint for prompt in found] == sorted(
        Prompt("", f"prompt {number}").fingerprint() for number in range(5)
    )
    assert {prompt.user for prompt in found} == {f"prompt {number}" for number in range(5)}


def test_events_may_be_added_while_a_stream_is_read(store: Store) -> None:
    store.add_events([event(number) for number in range(4)])
    stream = store.event_ids(store.watermark(), batch=2)
    first = next(stream)
    store.add_events([event(9)])
    assert [*first, *(pair for batch in stream for pair in batch)] == [(1, "e0"), (2, "e1"), (3, "e2"), (4, "e3")]


def test_prompts_by_id_come_in_the_order_asked(store: Store) -> None:
    store.add_events([event(number) for number in range(2500)])
    ids = [2500, 1, 1, *range(2400, 2, -1)]
    assert [prompt.prompt_id for prompt in store.prompts_by_id(ids)] == ids
    assert store.prompts_by_id([7])[0].user == "prompt 6"
    with pytest.raises(NotFound, match="the store has no prompt 2501"):
        store.prompts_by_id([1, 2501])


def test_what_came_after_an_event_is_read_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add_events([event(number, account_id=f"a{number % 3}", model=f"m{number % 2}") for number in range(7)])
    monkeypatch.setattr("indexer.store._TABLE_ROWS_A_QUERY", 2)
    table = store.event_table(6, after=3)
    assert table.sequence.tolist() == [4, 5, 6]
    assert [table.account_names.values[code] for code in table.account] == ["a0", "a1", "a2"]
    assert [table.model_names.values[code] for code in table.model] == ["m1", "m0", "m1"]
    assert len(store.event_table(6, after=6)) == 0
    assert [store.events_up_to(watermark) for watermark in (0, 3, 7, 99)] == [0, 3, 7, 7]


def test_prompts_among_come_in_order_of_fingerprint_and_once(store: Store) -> None:
    store.add_events([event(number) for number in range(2500)])
    everything = [each for batch in store.prompts(2500, batch=700) for each in batch]
    wanted = np.array([2500, 7, 7, *range(100, 2000)])
    batches = list(store.prompts_among(wanted, batch=300))
    assert [len(batch) for batch in batches] == [300] * 6 + [102]
    found = [each for batch in batches for each in batch]
    assert found == [each for each in everything if each.prompt_id in set(wanted.tolist())]
    assert list(store.prompts_among(np.zeros(0, np.int64))) == []


@pytest.fixture
def traffic(store: Store) -> Store:
    """Prompt 1 from accounts a, a and b; prompt 2 from b; prompt 3 from twelve accounts."""
    hello, bye, many = Prompt("", "hello"), Prompt("", "bye"), Prompt("", "many")
    store.add_events(
        [
            event(1, account_id="a", prompt=hello, model="m1"),
            event(2, account_id="b", prompt=bye, model="m2"),
            event(3, account_id="a", prompt=hello, model="m2"),
            event(4, account_id="b", prompt=hello),
            *(event(10 + n, account_id=f"c{n:02}", prompt=many, model="m1", org_id="m2") for n in range(12)),
        ]
    )
    return store


def test_events_of_prompts(traffic: Store) -> None:
    bye = PromptEvents(2, 1, 1, seconds(2), seconds(2), {"m2": 1}, {"b": 1})
    hello = PromptEvents(1, 3, 2, seconds(1), seconds(4), {"": 1, "m1": 1, "m2": 1}, {"a": 2, "b": 1})
    assert traffic.events_of_prompts([2, 1, 99, 2]) == [bye, hello]


def test_events_of_prompts_names_the_ten_busiest_accounts(traffic: Store) -> None:
    (many,) = traffic.events_of_prompts([3])
    assert (many.events, many.accounts, many.models) == (12, 12, {"m1": 12})
    assert list(many.account_ids) == [f"c{n:02}" for n in range(10)]


def test_events_of_prompts_pass_every_filter(traffic: Store) -> None:
    def found(**filters: Any) -> dict[int, int]:
        return {each.prompt_id: each.events for each in traffic.events_of_prompts([1, 2, 3], **filters)}

    assert found(since=seconds(3)) == {1: 2, 3: 12}
    assert found(until=seconds(3)) == {1: 1, 2: 1}
    assert found(since=seconds(2), until=seconds(3)) == {2: 1}
    assert found(account_id="b") == {1: 1, 2: 1}
    assert found(model="m2") == {1: 1, 2: 1}
    assert found(account_id="a", model="m2") == {1: 1}
    assert found(account_id="nobody") == {}
    assert found(model="") == {}


def test_what_prompts_reads_comes_from_indexes_in_their_order(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'plan.db'}"):
        pass
    for query in (
        "select distinct prompt from events where sequence <= 5 and prompt > 0 order by prompt limit 5",
        "select fingerprint, id from prompts where fingerprint > x'00' order by fingerprint limit 5",
    ):
        plan = [step for *_, step in raw(f"sqlite:///{tmp_path / 'plan.db'}", f"explain query plan {query}")]
        assert all("USING COVERING INDEX" in step for step in plan), plan


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.lists(st.integers(0, 12), max_size=30), share=st.floats(0, 1.2), batch=st.integers(1, 5))
def test_prompts_are_those_of_the_events_up_to_the_watermark(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    sent: list[int],
    share: float,
    batch: int,
) -> None:
    monkeypatch.setattr(store_module, "_IDS_A_QUERY", 2)
    monkeypatch.setattr(store_module, "_PROMPTS_A_LOOK", 3)
    folder = tmp_path_factory.mktemp("store")
    with Store.open(f"sqlite:///{folder / 'some.db'}") as store:
        store.add_events([event(n, prompt=Prompt("", f"p {text}")) for n, text in enumerate(sent)])
        watermark = int(share * len(sent))
        expected = raw(
            f"sqlite:///{folder / 'some.db'}",
            'select id, fingerprint, system, "user" from prompts where exists (select 1 from events'
            f" where prompt = prompts.id and sequence <= {watermark}) order by fingerprint",
        )
        found = list(store.prompts(watermark, batch))
    assert [prompt for page in found for prompt in page] == [StoredPrompt(*row) for row in expected]
    assert all(len(page) == batch for page in found[:-1])


def test_prompts_with_words_hold_all_of_them(store: Store) -> None:
    texts = ["Out of TEN points", "ten out of it", "100 % of a_b\\c", "nothing", "Straße"]
    store.add_events([event(n, prompt=Prompt("audit" if n == 1 else "", text)) for n, text in enumerate(texts)])
    ids = {text: store.prompts_with([text], 9).tolist()[0] for text in texts}

    def found(*words: str, most: int = 9) -> set[str]:
        rows = store.prompts_with(words, most).tolist()
        assert rows == sorted(rows)
        return {text for text in texts if ids[text] in rows}

    assert found("out of ten") == {texts[0]}
    assert found("TEN", "of") == {texts[0], texts[1]}
    assert found("Audit", "ten") == {texts[1]}
    assert found("100 %") == found("a_b\\c") == {texts[2]}
    assert found("a%c") == found("a.b") == set()
    assert found("Straße") == {texts[4]}
    assert len(found("n", most=1)) == 1
