"""How the console says things: texts of senders, numbers, and where one may go on to."""

import pytest

from app.console.pages import age, measure, pieces, share, shown
from app.console.places import local


@pytest.mark.parametrize(
    ("target", "goes"),
    [
        ("/console/campaigns?level=strong", "/console/campaigns?level=strong"),
        ("/console", "/console"),
        ("https://evil.example/console", "/console"),
        ("//evil.example", "/console"),
        ("/console/campaigns/c-1", "/console/campaigns/c-1"),
        ("/console/../v1/status", "/console"),
        ("/console/%2e%2e/v1/status", "/console"),
        ("/console//evil.example", "/console"),
        ("/console\r\nset-cookie: a=b", "/console"),
        ("http://[", "/console"),
        ("/consoles", "/console"),
        ("/v1/reindex", "/console"),
        ("", "/console"),
    ],
)
def test_after_signing_in_one_stays_here(target: str, goes: str) -> None:
    assert local(target) == goes


def test_numbers_are_said_as_people_read_them() -> None:
    assert [share(each) for each in (0, 0.0004, 0.5, 0.123, 0.9996, 1)] == [
        "0 %",
        "< 0.1 %",
        "50 %",
        "12.3 %",
        "> 99.9 %",
        "100 %",
    ]
    assert [measure(each) for each in (None, 0.00123, 3.0, 123456.0)] == ["–", "0.00123", "3", "123,456"]
    assert [age(each) for each in (5, 60, 7300, 200_000)] == [
        "less than a minute",
        "1 minute",
        "2 hours",
        "2 days",
    ]
    assert pieces("ask {1} now{2}{3}", [1, 2]) == [("ask ", 0), ("", 1), (" now", 0), ("", 2), ("{3}", 0)]
    assert shown("a\u3164b\u2800c\u2028d\U000e0141e\ufe01f ☀\ufe0f\tg\nh") == (
        "a[U+3164]b[U+2800]c[U+2028]d[U+E0141]e[U+FE01]f ☀\ufe0f\tg\nh"
    )
    assert shown("abc", 2) == "ab … (1 more characters)"
