"""Sessions of the console: what is ours, for how long, and the secret that tells."""

from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from api_double import NOW
from hypothesis import given
from hypothesis import strategies as st

from app.console import sessions
from app.console.sessions import LIFETIME, Session, Sessions, session_secret
from models.errors import StorageUnusable


def test_a_session_ends() -> None:
    ours = Sessions(b"s" * 32, Random(3).randbytes)
    session = ours.begin("ab12", NOW)
    cookie = ours.cookie(session)
    assert ours.find(cookie, NOW + LIFETIME - timedelta(seconds=1)) == session
    assert ours.find(cookie, NOW + LIFETIME) is None


@given(st.text(max_size=80), st.binary(min_size=32, max_size=32))
def test_only_our_own_signature_makes_a_session(text: str, secret: bytes) -> None:
    ours, theirs = Sessions(b"\1" * 32), Sessions(secret)
    session = ours.begin("ab12", NOW)
    cookie = ours.cookie(session)
    assert ours.find(cookie, NOW) == session
    assert ours.find(text, NOW) is None
    assert ours.find(cookie + text, NOW) == (None if text else session)
    assert theirs.find(cookie, NOW) is None
    assert not ours.is_token(session, ours.cookie(session).rpartition(".")[2])  # one is not the other
    longer = Session("ab12", session.until + timedelta(days=1), session.nonce)
    assert ours.find(f"{longer.claims}.{cookie.rpartition('.')[2]}", NOW) is None


def test_the_secret_is_made_once_and_is_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "data" / "console.secret"
    first = session_secret(path)
    assert (len(first), path.stat().st_mode & 0o777) == (32, 0o600)
    assert session_secret(path) == first
    assert [each.name for each in path.parent.iterdir()] == ["console.secret"]
    path.write_bytes(b"short")
    with pytest.raises(StorageUnusable, match="holds 5 bytes, not 32"):
        session_secret(path)
    with pytest.raises(StorageUnusable, match="cannot be kept"):
        session_secret(path / "beneath")


def test_where_files_cannot_be_linked_the_secret_is_kept_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "not supported")

    monkeypatch.setattr(sessions.os, "link", refuse)
    first = session_secret(tmp_path / "console.secret")
    assert session_secret(tmp_path / "console.secret") == first
    assert [each.name for each in tmp_path.iterdir()] == ["console.secret"]
