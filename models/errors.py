"""Every error Stillwatch raises on purpose.

StillwatchError
├── BadInput                what the caller sent cannot be used
│   ├── BadEvent            one row of an event file
│   ├── BadPrompt           a prompt without text, or with malformed messages
│   ├── PromptTooLarge      a prompt over the size a caller may send
│   └── UnreadableFile      a file that is not what its name says
├── NotFound
│   ├── UnknownAccount
│   ├── UnknownAllowance
│   ├── UnknownCampaign
│   ├── UnknownJob
│   └── UnknownKey
├── NotReady                nothing is published yet: ask again later
├── Overloaded              more prompts wait than can be answered in time
├── Busy                    another job holds the data directory
├── Collapsed               a reindex told nothing apart, so it was not published
├── BadSettings             an option or environment variable out of range
├── Refused                 a server we asked answered with an error
├── Unreachable             a server we asked did not answer in time
├── StorageUnusable         the disk is full, broken or not to be written
├── GenerationDamaged       a published file is missing or was altered
├── SpaceMismatch           vectors of two embedding spaces were about to meet
└── WeightsUnusable         encoder weights are missing, altered or incomplete

`app.errors` maps each of them to one HTTP status; a test keeps that map complete.
"""


class StillwatchError(Exception):
    """Base of all errors raised on purpose."""


class BadInput(StillwatchError):
    """The caller's data is at fault; the message says what and where."""


class BadEvent(BadInput):
    """One row of an event file cannot be an event."""


class BadPrompt(BadInput):
    """A prompt without usable text, or with malformed messages."""


class PromptTooLarge(BadInput):
    """A prompt longer than a caller may send in one request."""


class UnreadableFile(BadInput):
    """A whole file cannot be read as the format its name promises."""


class NotFound(StillwatchError):
    """The thing asked for does not exist."""


class UnknownAccount(NotFound):
    """No event of the current generation is of this account."""


class UnknownAllowance(NotFound):
    """No allow-list rule of this number is in force."""


class UnknownCampaign(NotFound):
    """No campaign of this id in the current generation."""


class UnknownJob(NotFound):
    """No job of this id in this process."""


class UnknownKey(NotFound):
    """No API key of this id that still opens anything."""


class NotReady(StillwatchError):
    """No generation is published, so nothing can be answered yet."""


class Overloaded(StillwatchError):
    """More prompts wait than can be answered in time: ask again, or go on without an answer."""


class Busy(StillwatchError):
    """Another process or job is already doing this to the same data directory."""


class Collapsed(StillwatchError):
    """A reindex put together what was apart, or found nothing of what was there; it was not published."""


class BadSettings(StillwatchError):
    """An option or environment variable has a value that cannot work."""


class Refused(StillwatchError):
    """A server that was asked answered with an error, or not in its own terms."""


class Unreachable(StillwatchError):
    """A server that was asked did not answer in time."""


class StorageUnusable(StillwatchError):
    """What holds the data takes or gives nothing now: it is full, broken, or may not be written."""


class GenerationDamaged(StillwatchError):
    """A generation's file is missing, altered or incomplete."""


class SpaceMismatch(StillwatchError):
    """Vectors of two different embedding spaces were about to be compared."""


class WeightsUnusable(StillwatchError):
    """Encoder weights are missing, altered or incomplete."""
