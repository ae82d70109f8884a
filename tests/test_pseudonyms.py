"""Pseudonyms lead back to one name, for those who have the secret, and tell nothing to others."""

import re
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from app.console.pseudonyms import Pseudonyms

SECRET = bytes(range(32))


@given(st.lists(st.text(), min_size=1, max_size=30, unique=True))
def test_a_pseudonym_leads_back_to_its_account(names: list[str]) -> None:
    pseudonyms = Pseudonyms(SECRET)
    called = [pseudonyms.account(name) for name in names]
    assert len(set(called)) == len(names)
    assert all(re.fullmatch("a-[a-z2-7]{12}", each) for each in called)
    assert [pseudonyms.account_id(each, names) for each in called] == names


def test_what_nobody_is_called_leads_nowhere() -> None:
    pseudonyms = Pseudonyms(SECRET)
    names = ["one", "two"]
    for other in (
        "",
        "one",
        "a-",
        "a-222222222222",
        "a-aaaaaaaaaaaa",
        "a-zzzzzzzzzzzz",
        pseudonyms.organisation("one"),
    ):
        assert pseudonyms.account_id(other, names) is None
    assert pseudonyms.account_id(pseudonyms.account("one"), []) is None


def test_another_secret_and_another_kind_give_another_name() -> None:
    one, other = Pseudonyms(SECRET), Pseudonyms(SECRET[::-1])
    assert one.account("x") == Pseudonyms(SECRET).account("x")
    assert len({one.account("x"), other.account("x"), "a" + one.organisation("x")[1:]}) == 3


def test_names_that_were_learnt_are_not_gone_through_again() -> None:
    class Counted(list[str]):
        reads = 0

        def __iter__(self) -> Iterator[str]:
            Counted.reads += 1
            return super().__iter__()

    pseudonyms, names = Pseudonyms(SECRET), Counted(["one", "two"])
    pseudonyms.learn(names)
    assert [pseudonyms.account_id(pseudonyms.account(name), names) for name in ("one", "two")] == ["one", "two"]
    assert Counted.reads == 1


def test_another_list_of_names_is_looked_at_anew() -> None:
    pseudonyms = Pseudonyms(SECRET)
    called = pseudonyms.account("new")
    assert pseudonyms.account_id(called, ["old"]) is None
    assert pseudonyms.account_id(called, ["new", "old"]) == "new"
