"""Lines examined elsewhere come to what they come to here, whoever dies meanwhile, and nobody stays behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.examine import Examined, Refusal, examine
from indexer.examiners import Examiners
from indexer.process import is_alive
from indexer.records import Record, Wording
from indexer.rows import Line, Row
from models.prompt import Prompt

NOW = datetime(2026, 2, 4, tzinfo=UTC)


def line(number: int, **changes: Any) -> Line:
    row = {
        "event_id": f"e{number}",
        "account_id": f"a{number % 3}",
        "timestamp": "2026-02-03T04:05:06+00:00",
        "prompt": f"prompt {number % 5}",
    }
    return Line(number, json.dumps(row | changes).encode())


ODD = [
    line(1, prompt="cut \ud83d", attribute={"\udc00": ["\ud800", 2**60, 1.5, None]}),
    line(2, prompt="nul \x00 and \u200bzero", messages=[]),
    line(3, account_id=""),
    line(4, messages=[{"role": "system", "content": "S"}, {"role": "user", "content": "U"}], prompt=None),
    Line(5, b"{"),
    Line(6, b'{"a": "\xff"}'),
    Line(7, b"[" * 100_000),
    line(8, timestamp="2026-02-09T00:00:00Z"),
    line(9, event_id=2**63, org_id="o", model="m", payment_id="p", network="n", account_created_at="2026-01-01"),
]


@pytest.fixture(scope="module")
def examiners() -> Iterator[Examiners]:
    with Examiners(2) as started:
        yield started


def test_a_record_or_a_refusal_of_each_row() -> None:
    plain, again = line(10, prompt="Hi  there"), line(11, prompt="Hi  there", account_id="b", model="m")
    bad, row = Line(12, b"[]"), Row(13, None, "line too long: 9 bytes, more than 8", b"")
    found = examine([plain, bad, again, row, line(14, prompt="")], NOW)
    at = 1_770_091_506_000_000
    nobody = (None, None, None, None)
    assert found.records.wordings == [Wording(Prompt("", "hi there").fingerprint(), "", "Hi  there", 0)]
    assert found == Examined(
        records=found.records,
        positions=[0, 2],
        refused=[
            Refusal(1, "not an object: list", "not an object"),
            Refusal(3, "line too long: 9 bytes, more than 8", "line too long"),
            Refusal(4, "prompt and messages are both missing or empty", "bad prompt"),
        ],
    )
    first, second = found.records.events
    assert first == Record("e10", "a1", nobody, 0, at, None, None, first.digest)
    assert second == Record("e11", "b", (None, "m", None, None), 0, at, None, None, second.digest)


def test_odd_lines_come_to_the_same_in_another_process(examiners: Examiners) -> None:
    expected = examine(ODD, NOW)
    assert examiners.examine(ODD, NOW)() == expected
    assert [refusal.position for refusal in expected.refused] == [2, 4, 5, 6, 7]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.binary(max_size=30)
        | st.dictionaries(
            st.sampled_from(["event_id", "account_id", "timestamp", "prompt", "model", "x"]),
            st.text(max_size=8) | st.just("2026-02-03") | st.integers() | st.none(),
        ).map(lambda row: json.dumps(row).encode()),
        max_size=8,
    )
)
def test_any_lines_come_to_the_same_in_another_process(examiners: Examiners, raws: list[bytes]) -> None:
    lines = [Line(number, raw) for number, raw in enumerate(raws, start=1)]
    assert examiners.examine(lines, NOW)() == examine(lines, NOW)


def test_answers_belong_to_their_questions_in_any_order(examiners: Examiners) -> None:
    rng = Random(1)
    questions = [[line(rng.randrange(10**6)) for _ in range(rng.randrange(400))] for _ in range(20)]
    answers = [(lines, examiners.examine(lines, NOW)) for lines in questions]
    rng.shuffle(answers)
    for lines, answer in answers:
        assert answer() == examine(lines, NOW)


def test_a_process_that_dies_costs_time_only() -> None:
    lines = [line(number) for number in range(50)]
    with Examiners(2) as examiners:
        assert examiners.examine(lines, NOW)() == examine(lines, NOW)
        for child in examiners._children:
            child.kill()
        for _ in range(3):
            assert examiners.examine(lines, NOW)() == examine(lines, NOW)


def test_none_is_started_before_there_is_work_and_none_stays() -> None:
    with Examiners(2) as examiners:
        assert examiners._children == []
        examiners.examine([line(1)], NOW)
        pids = [child.pid for child in examiners._children]
        assert len(pids) == 2
    assert not any(map(is_alive, pids))


STUCK = """
import os, signal, sys, time
from datetime import UTC, datetime
from indexer.examiners import Examiners
from indexer.rows import Line
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job ignores
lines = [Line(1, b'{"event_id": "e", "account_id": "a", "timestamp": "2026-02-03", "prompt": "p"}')] * 9
with Examiners(2) as examiners:
    examiners.examine(lines, datetime.now(UTC))()
    print(*(child.pid for child in examiners._children), flush=True)
    while True:
        examiners.examine(lines * 2000, datetime.now(UTC))()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_none_outlives_the_process_that_asked_however_it_ends(number: int) -> None:
    root = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", STUCK], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        try:
            assert parent.stdout is not None
            pids = [int(word) for word in parent.stdout.readline().split()]
            assert len(pids) == 2
            time.sleep(0.1)  # so that they are in the middle of something
            os.kill(parent.pid, number)
            _, said = parent.communicate(timeout=20)
        finally:
            parent.kill()  # where signals of the terminal are ignored, as in a background job, it would go on
    assert parent.returncode == -number
    assert said.count("Traceback") == (number == signal.SIGINT), said  # its own, none of theirs
    until = time.monotonic() + 20
    while any(map(is_alive, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(map(is_alive, pids))


def test_an_examiner_loads_nothing_heavy() -> None:
    code = (
        "import sys, indexer.examiners; "
        "heavy = ('numpy', 'pyarrow', 'sqlalchemy', 'faiss', 'torch', 'typer'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    root = Path(__file__).parents[1]
    loaded = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
