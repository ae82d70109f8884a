"""API keys as they are kept, and the commands that make and revoke them."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from test_cli import failing, run
from traffic import NOW, settings_of

from indexer.engine import Engine
from indexer.store import Store
from models.errors import UnknownKey
from models.key import Keyring, Role, new_key

DICE = Random(3)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    with Store.open(database) as opened:
        yield opened


def test_keys_come_back_as_they_went_in(store: Store) -> None:
    first, _ = new_key("gw", Role.GATEWAY, 200.5, NOW, None, DICE.randbytes)
    later = NOW + timedelta(seconds=1)
    second, _ = new_key("ann", Role.ANALYST, None, later, NOW + timedelta(days=1), DICE.randbytes)
    store.keys.add(second)
    store.keys.add(first)
    assert store.keys.all() == (first, second)


def test_a_revoked_key_stays_and_opens_nothing(store: Store) -> None:
    key, token = new_key("gw", Role.GATEWAY, None, NOW, None, DICE.randbytes)
    store.keys.add(key)
    assert Keyring(store.keys.all()).find(token, NOW) == key
    store.keys.revoke(key.key_id, NOW)
    assert [each.revoked for each in store.keys.all()] == [NOW]
    assert not Keyring(store.keys.all())
    for gone in (key.key_id, "00000000"):
        with pytest.raises(UnknownKey, match=f"no key '{gone}' that is not revoked"):
            store.keys.revoke(gone, NOW)


def test_a_running_engine_heeds_keys_from_its_next_look_on(store: Store, database: str, tmp_path: Path) -> None:
    engine = Engine.open(settings_of(tmp_path, database), lambda: NOW)
    assert not engine.keys()
    key, token = new_key("gw", Role.GATEWAY, None, NOW, None, DICE.randbytes)
    store.keys.add(key)
    engine.refresh()
    assert engine.keys().find(token, NOW) == key
    store.keys.revoke(key.key_id, NOW)
    engine.refresh()
    assert engine.keys().find(token, NOW) is None
    engine.close()


def test_the_commands_make_list_and_revoke_keys(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLWATCH_DATABASE", database)
    status, out, _ = run(tmp_path, "keys", "create", "edge", "--role", "gateway", "--rate", "50", "--json")
    made = json.loads(out)
    assert (status, made["name"], made["role"], made["rate"]) == (0, "edge", "gateway", 50.0)
    assert made["token"].startswith(f"sw_{made['key_id']}_")
    status, out, _ = run(tmp_path, "keys", "create", "ann", "--role", "analyst", "--until", "2999-01-01")
    shown = out.split()
    assert sum(word.startswith("sw_") and len(word) == len(made["token"]) for word in shown) == 1
    listed = json.loads(run(tmp_path, "keys", "list", "--json")[1])
    assert [(each["name"], each["revoked"]) for each in listed] == [("edge", None), ("ann", None)]
    assert not any("digest" in each or "token" in each for each in listed)
    assert run(tmp_path, "keys", "revoke", made["key_id"])[0] == 0
    assert json.loads(run(tmp_path, "keys", "list", "--json")[1])[0]["revoked"] is not None
    assert "edge" in run(tmp_path, "keys", "list")[1]


def test_what_cannot_be_a_key_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = failing(
        tmp_path, capsys, monkeypatch, "keys", "create", "a", "--role", "gateway", "--until", "2001-01-01"
    )
    assert "is not in the future" in said
    unset = ("keys", "create", "a", "--role", "gateway", "--until", "")  # a variable of a script that is empty
    assert "--until" in failing(tmp_path, capsys, monkeypatch, *unset)
    never = ("keys", "create", "a", "--role", "admin", "--rate", "0")
    assert "a key's rate" in failing(tmp_path, capsys, monkeypatch, *never)
    assert "no key 'beef'" in failing(tmp_path, capsys, monkeypatch, "keys", "revoke", "beef")
