"""Campaigns as a STIX 2.1 bundle, and back. The only door to stix2.

A bundle holds who tells, and of each campaign a `campaign` object, an `indicator` whose pattern lists the salted
hashes and which is valid until the campaign is to be forgotten, and the relationship of the two. The salt stands
in a property of the indicator. Hashes of templates are no object that STIX knows, so the pattern names one of
ours.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import stix2
from stix2.exceptions import STIXError

from models.errors import BadInput
from models.shared import SharedCampaign

MOST_OBJECTS: Final = 10_000
_KIND: Final = "x-stillwatch-template"
_SALT: Final = "x_stillwatch_salt"
_HASH: Final = re.compile(r"'([0-9a-f]{32})'")
_PATTERN: Final = re.compile(rf"\[{_KIND}:hashes IN \('[0-9a-f]{{32}}'(?:, ?'[0-9a-f]{{32}}')*\)\]")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2}){8,64}")


def bundle_of(campaigns: Sequence[SharedCampaign], source: str, now: datetime) -> str:
    """The bundle as JSON. All campaigns are told by one source, marked TLP:AMBER."""
    marked = {"object_marking_refs": [stix2.TLP_AMBER.id], "created": now, "modified": now}
    teller = stix2.Identity(name=source, identity_class="organization", created=now, modified=now)
    objects: list[Any] = [stix2.TLP_AMBER, teller]
    for each in campaigns:
        told = stix2.Campaign(
            name=each.campaign_id,
            description="Near-duplicate prompts of many accounts, to harvest a model's answers.",
            objective=each.aim or None,
            first_seen=each.first_seen,
            last_seen=max(each.last_seen, each.first_seen),
            created_by_ref=teller.id,
            **marked,
        )
        hashes = ", ".join(f"'{value}'" for value in each.hashes)
        sign = stix2.Indicator(
            name=f"Template of {each.campaign_id}",
            indicator_types=["anomalous-activity"],
            pattern_type="stix",
            pattern=f"[{_KIND}:hashes IN ({hashes})]",
            valid_from=now,
            valid_until=each.until,
            created_by_ref=teller.id,
            allow_custom=True,
            **{_SALT: each.salt},
            **marked,
        )
        link = stix2.Relationship(sign, "indicates", told, created_by_ref=teller.id, **marked)
        objects += [told, sign, link]
    written: str = stix2.Bundle(objects, allow_custom=True).serialize(pretty=True)
    return written


def campaigns_in(text: str) -> list[SharedCampaign]:
    """The campaigns of a bundle that have hashes of ours. Raises BadInput for what is no such bundle."""
    try:
        document = json.loads(text)
        given = document.get("objects", []) if isinstance(document, dict) else None
        if not isinstance(given, list) or document.get("type") != "bundle":
            raise BadInput("this is no STIX 2.1 bundle: it is no object of type bundle")
        if len(given) > MOST_OBJECTS:
            raise BadInput(f"the bundle has {len(given)} objects, more than {MOST_OBJECTS}")
        # What we do not read is not parsed either: a pattern of somebody else's can take stix2 for ever.
        bundle = stix2.parse({**document, "objects": [*filter(_is_ours, given)]}, allow_custom=True, version="2.1")
    except (STIXError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadInput(f"this is no STIX 2.1 bundle: {type(error).__name__}") from error
    # What claims to be of no version that there is comes back as it was given.
    objects = {each.id: each for each in bundle.get("objects", []) if not isinstance(each, dict)}
    found = []
    for link in objects.values():
        if link.type == "relationship" and link.relationship_type == "indicates":
            sign, told = objects.get(link.source_ref), objects.get(link.target_ref)
            if sign is not None and told is not None and sign.type == "indicator" and told.type == "campaign":
                found.append(_campaign(sign, told, objects))
    return [each for each in found if each is not None]


def _is_ours(value: Any) -> bool:
    """Whether an object of a bundle is one that we read."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "indicator":
        return isinstance(value.get("pattern"), str) and _PATTERN.fullmatch(value["pattern"]) is not None
    return kind in ("identity", "campaign", "relationship")


def _campaign(sign: Any, told: Any, objects: dict[str, Any]) -> SharedCampaign | None:
    """What the two objects tell; None if they hold nothing that we can compare."""
    salt, hashes = sign.get(_SALT, ""), tuple(sorted(set(_HASH.findall(sign.pattern))))
    if sign.get("revoked") or told.get("revoked"):
        return None
    if not (isinstance(salt, str) and _HEX.fullmatch(salt)):
        return None
    teller = objects.get(told.get("created_by_ref", ""))
    if sign.get("valid_until") is None:
        raise BadInput(f"the indicator of {told.name!r} has no valid_until: nothing is kept for ever")
    first = told.get("first_seen") or sign.valid_from
    return SharedCampaign(
        source=teller.name if teller is not None and teller.type == "identity" else "unknown",
        campaign_id=told.name,
        aim=told.get("objective") or "",
        first_seen=_time(first),
        last_seen=_time(told.get("last_seen") or first),
        salt=salt,
        hashes=hashes,
        until=_time(sign.valid_until),
    )


def _time(value: datetime) -> datetime:
    """A plain time of STIX's own kind."""
    found = value.astimezone(UTC)
    return datetime(
        found.year, found.month, found.day, found.hour, found.minute, found.second, found.microsecond, UTC
    )
