"""The views: ways of looking at one prompt, each with its own vectors or hashes."""

from collections.abc import Collection
from enum import StrEnum


class View(StrEnum):
    """One way of comparing prompts.

    WHOLE      the user's whole text, in windows: finds short-slot templates and rephrasings.
    RECURRING  the user's text that recurs over many prompts and accounts, slots dropped: finds wrappers.
    SYSTEM     the same of the system text.
    EXACT      the fingerprint of the canonical prompt: finds one prompt sent again and again.
    MEETINGS   who shares a text with whom: finds accounts that keep meeting in small groups, without a template.
    """

    WHOLE = "whole"
    RECURRING = "recurring"
    SYSTEM = "system"
    EXACT = "exact"
    MEETINGS = "meetings"


def only_system(views: Collection[View]) -> bool:
    """Whether a group shows in the system text alone, not in what users wrote (one of its prompts may well be
    repeated, which EXACT sees).
    """
    return View.SYSTEM in views and View.WHOLE not in views and View.RECURRING not in views
