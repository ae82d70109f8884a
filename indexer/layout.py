"""Names of the files in a generation.

Rows of `prompts.*` and `group.npy` are prompts in the order of their fingerprints; rows of `whole.prompt.npy`
are windows in the whole-text index, each naming its prompt's row. Campaign numbers are places in the list of
`campaigns.json`.
"""

from typing import Final

from models.view import View

CAMPAIGNS: Final = "campaigns.json"
PROMPT_IDS: Final = "prompts.ids.npy"  # (n,) int64, the store's ids
FINGERPRINTS: Final = "prompts.fingerprints.npy"  # (n, 16) uint8, ascending
GROUP: Final = "group.npy"  # (n,) int64, campaign number or -1
STRAND: Final = "strand.npy"  # (n,) int64, which of its campaign's templates a prompt has, or -1
WHOLE_INDEX: Final = "whole.faiss"
WHOLE_PROMPT: Final = "whole.prompt.npy"  # (windows,) int64
BACKGROUND: Final = "background.npy"  # (b,) float32, greatest margin of each background prompt, ascending
# Near misses: prompts outside of every campaign whose recurring text comes near to one, the nearest campaign of
# each.
NEAR_PROMPT: Final = "near.prompt.npy"  # (m,) int32, row of the prompt
NEAR_CAMPAIGN: Final = "near.campaign.npy"  # (m,) int32, ascending; of each the nearest first
EVENT_PROMPT: Final = "events.prompt.npy"  # (events,) int32, row of the prompt
EVENT_CAMPAIGN: Final = "events.campaign.npy"  # (events,) int32, campaign number or -1, as of its prompt
EVENT_SECOND: Final = "events.second.npy"  # (events,) int64, since 1970 UTC


def event_codes_file(column: str) -> str:
    """(events,) int32, place of the event's name of this kind among those of the column, or -1."""
    return f"events.{column}.npy"


def event_names_files(column: str) -> tuple[str, str]:
    """The column's names, ascending: (bytes,) uint8 of UTF-8, and (names + 1,) int64, where each begins."""
    return f"names.{column}.npy", f"names.{column}.offsets.npy"


def hot_grams_file(view: View) -> str:
    """(g,) uint64, ascending: the grams that recur in a view."""
    return f"grams.{view}.npy"


def deep_grams_file(view: View) -> str:
    """(g,) bool: which of them few units send again and again."""
    return f"grams.{view}.deep.npy"


def exemplar_vectors_file(view: View) -> str:
    """(m, d) float32 unit rows."""
    return f"exemplars.{view}.npy"


def exemplar_codes_file(view: View) -> str:
    """The codes of the exemplars, in FAISS's format; not there where they are few, or by an earlier version."""
    return f"exemplars.{view}.codes.faiss"


def exemplar_owners_file(view: View) -> str:
    """(m,) int64, the campaign number of each exemplar, ascending."""
    return f"exemplars.{view}.campaign.npy"
