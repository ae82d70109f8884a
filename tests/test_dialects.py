"""Bodies of LLM APIs: what each dialect says, and what is left of one that was cut or is no such body at all."""

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects import NOTHING, Body, read_body
from models.prompt import Prompt, prompt_from_messages

PARTS = [{"type": "text", "text": "Sum this."}, {"type": "image_url", "image_url": {"url": "x"}}, "And that."]


@pytest.mark.parametrize(
    ("document", "prompt"),
    [
        ({"messages": [{"role": "user", "content": "Hi"}]}, Prompt("", "Hi")),
        (
            {
                "messages": [
                    {"role": "developer", "content": "Be brief."},
                    {"role": "user", "content": PARTS},
                    {"role": "assistant", "content": None, "tool_calls": [{"type": "custom"}]},
                    {"role": "tool", "content": "42"},
                    {"role": "user", "content": "Thanks"},
                ]
            },
            Prompt("Be brief.", "Sum this.\nAnd that.\n\nThanks"),
        ),
        ({"prompt": "Once upon"}, Prompt("", "Once upon")),
        ({"prompt": ["one", "two"]}, Prompt("", "one\n\ntwo")),
        ({"instructions": "Be brief.", "input": "Hi"}, Prompt("Be brief.", "Hi")),
        (
            {
                "input": [
                    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                    {"type": "function_call_output", "output": "42"},
                ]
            },
            Prompt("", "Hi"),
        ),
        (
            {"system": [{"type": "text", "text": "Be brief."}], "messages": [{"role": "user", "content": PARTS}]},
            Prompt("Be brief.", "Sum this.\nAnd that."),
        ),
    ],
)
def test_each_dialect_is_read(document: dict[str, Any], prompt: Prompt) -> None:
    assert read_body(json.dumps(document).encode()).prompt == prompt


def test_a_chat_is_the_same_prompt_as_when_it_is_stored() -> None:
    turns = [
        {"role": "system", "content": PARTS},
        {"role": "user", "content": PARTS},
        {"role": "user", "content": ""},
    ]
    seen = read_body(json.dumps({"messages": turns}).encode()).prompt
    assert seen is not None
    assert seen.fingerprint() == prompt_from_messages(turns).fingerprint()


def test_model_and_user_are_named_where_they_can_be() -> None:
    said = b'{"model": "m", "user": "u", "prompt": "Hi"}'
    assert read_body(said) == Body(Prompt("", "Hi"), "m", "u")
    assert read_body(b'{"model": 5, "metadata": {"user_id": "v"}}') == Body(None, None, "v")
    assert read_body(b'{"model": "a\\nb", "user": ""}') == NOTHING


@pytest.mark.parametrize(
    "raw",
    [b"", b"hello", b"[1, 2]", b"\xff\xfe", b"null", b'"text"', b"[" * 100_000, b'{"messages": 5, "system": {}}'],
)
def test_what_is_no_such_body_says_nothing(raw: bytes) -> None:
    assert read_body(raw) == NOTHING


DEEP = "[" * 3000 + "]" * 3000


@pytest.mark.parametrize(
    "raw",
    [
        '{"metadata": {"a": DEEP}, "messages": [{"role": "user", "content": "say it"}]}',
        '{"messages": [{"role": "user", "content": "say it"}], "metadata": {"a": DEEP}}',
        '{"messages": [{"role": "user", "content": "say it"}], "metadata": {"a": [[[DEEP',
        '{"messages": [{"role": "user", "content": "say it"}], "n": LONG}',
        '{"user": "a\tb\n", "messages": [{"role": "user", "content": "say it"}]}',
        '{"messages": [{"role": "User", "content": "say it"}]}',
        '{"messages": [{"role": " user", "content": "say it"}]}',
        '{"messages": [{"content": "say it"}]}',
        '{"messages": [{"role": null, "content": "say it"}]}',
        '{"messages": [{"role": "customer", "content": "say it"}]}',
        '{"messages": [{"role": "user", "content": {"type": "text", "text": "say it"}}]}',
        '{"messages": [{"role": "user", "content": "say it"}], "x": NaN, "y": -Infinity, "z": 1e999}',
        '\ufeff{"messages": [{"role": "user", "content": "say it"}]}',
    ],
)
def test_what_some_server_may_read_hides_nothing(raw: str) -> None:
    raw = raw.replace("DEEP", DEEP).replace("LONG", "9" * 5000)
    assert read_body(raw.encode()).prompt == Prompt("", "say it")


@pytest.mark.parametrize("encoding", ["gzip", "GZIP ", "deflate"])
def test_a_packed_body_is_unpacked_as_far_as_it_goes(encoding: str) -> None:
    raw = json.dumps({"prompt": " ".join(map(str, range(10_000)))}).encode()
    packed = zlib.compress(raw) if encoding == "deflate" else gzip.compress(raw)
    assert read_body(packed, encoding) == read_body(raw)
    found = read_body(packed[: len(packed) * 2 // 3], encoding).prompt
    assert found is not None
    assert found.user.startswith("0 1 2 3 ")
    assert read_body(raw, encoding) == read_body(raw)  # whatever the header says
    assert read_body(packed, "br") == NOTHING
    found = read_body(gzip.compress(b'{"prompt": "' + b"x" * 10_000_000), "gzip", limit=1000).prompt
    assert found == Prompt("", "x" * (1000 - len('{"prompt": "')))


def test_an_item_that_is_no_message_says_nothing() -> None:
    thoughts = [{"type": "reasoning_text", "text": "hm"}]
    items = [{"type": "reasoning", "content": thoughts}, {"role": "Assistant", "content": "a"}]
    assert read_body(json.dumps({"input": items}).encode()) == NOTHING


@pytest.mark.parametrize("escape", ["\\ud83d", "\\udc00 and", "\\ud83d\\ud83d", "\\\\ud83d"])
def test_half_a_surrogate_pair_hides_nothing(escape: str) -> None:
    whole = f'{{"prompt": "before {escape} behind"}}'.encode()
    for raw in (whole, whole[:-2], whole[:-2] + "é".encode()[:1]):
        found = read_body(raw).prompt
        assert found is not None
        assert found.user.startswith("before ")
        assert found.user.endswith("behind")


@given(st.text(min_size=1), st.text(min_size=1), st.data())
def test_a_body_that_was_cut_says_what_stands_before_the_cut(system: str, user: str, data: st.DataObject) -> None:
    turns = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    raw = json.dumps({"model": "m", "messages": turns}, ensure_ascii=data.draw(st.booleans())).encode(
        errors="replace"
    )
    whole = read_body(raw).prompt or Prompt("x", "")
    seen = read_body(raw[: data.draw(st.integers(0, len(raw)))]).prompt
    if seen is not None and "\\ud" not in raw.decode():  # of a surrogate pair, the half that is left stands for it
        assert whole.system.startswith(seen.system)
        assert whole.user.startswith(seen.user)
