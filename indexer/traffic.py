"""The traffic of one generation, counted: by hour, by campaign and by account."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.event_columns import Coded, EventColumns
from indexer.generation import Generation
from indexer.texts import Texts
from indexer.times import moment_of_seconds
from models.errors import UnknownAccount
from models.traffic import AccountTraffic, CampaignAccount, CampaignHour, FlaggedAccount, Peer, TrafficHour

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_HOUR_S: Final = 3600
_DAY_HOURS: Final = 24
_WEEK_DAYS: Final = 7
_MONDAY: Final = 3  # 1970 began with a Thursday, the fourth day of a week
_PEERS: Final = 20
_NEVER: Final = np.iinfo(np.int64).max  # later than all seconds, and its negative earlier


class Traffic:
    """Immutable; its columns are mapped files. Each call looks at every event: 0.1 s of sixteen million."""

    def __init__(self, columns: EventColumns, strand: IntArray, campaign_ids: Sequence[str]) -> None:
        """strand: (prompts,) as `indexer.layout` has it. campaign_ids: by campaign number."""
        self._columns = columns
        self._strand = strand
        self._ids = tuple(campaign_ids)

    @classmethod
    def of(cls, generation: Generation, campaign_ids: Sequence[str]) -> "Traffic":
        """That of a generation; none at all if it is of an earlier version, which kept no events."""
        strand = np.asarray(generation.array(layout.STRAND), np.int64)
        return cls(EventColumns.of(generation) or _NO_EVENTS, strand, campaign_ids)

    def hours(self, flagged: BoolArray) -> tuple[TrafficHour, ...]:
        """The hours that have an event, ascending. flagged: (campaigns,), whose events to count
        apart.
        """
        hour = self._columns.second // _HOUR_S
        if not len(hour):
            return ()
        first = int(hour.min())
        inside = np.append(flagged, False)[self._columns.campaign]  # -1 reads the appended False
        both = [np.bincount(each - first, minlength=int(hour.max()) - first + 1) for each in (hour, hour[inside])]
        there = np.flatnonzero(both[0])
        return tuple(
            TrafficHour(moment_of_seconds((first + at) * _HOUR_S), events, bad)
            for at, events, bad in zip(there.tolist(), *(each[there].tolist() for each in both), strict=True)
        )

    def of_campaign(self, campaign: int) -> tuple[CampaignHour, ...]:
        """The hours in which a campaign, by its number, sent anything, ascending."""
        rows = np.flatnonzero(self._columns.campaign == campaign)
        columns = self._columns
        hour = columns.second[rows] // _HOUR_S
        rows, hour = rows[order := np.argsort(hour, kind="stable")], hour[order]
        starts = np.flatnonzero(np.diff(hour, prepend=-1))
        return tuple(
            CampaignHour(
                hour=moment_of_seconds(int(columns.second[mine[0]] // _HOUR_S) * _HOUR_S),
                events=len(mine),
                accounts=len(np.unique(columns.account.codes[mine])),
                models=_named(columns.model, mine),
                strands=_counts(self._strand[columns.prompt[mine]]),
            )
            for mine in np.split(rows, starts[1:])
            if len(mine)
        )

    def accounts_of(self, campaign: int, which: slice = slice(None)) -> tuple[CampaignAccount, ...]:
        """The accounts of a campaign, by its number, the busiest first, equals by name; those at these places
        only. Of several organisations an account has that of its first event of the campaign.
        """
        columns = self._columns
        rows = np.flatnonzero(self._columns.campaign == campaign)
        codes, first, inverse, events = np.unique(
            columns.account.codes[rows], return_index=True, return_inverse=True, return_counts=True
        )
        shown = np.lexsort((codes, -events))[which]
        begin, end = (np.full(len(codes), bound) for bound in (_NEVER, -_NEVER))
        np.minimum.at(begin, inverse, columns.second[rows])
        np.maximum.at(end, inverse, columns.second[rows])
        sent = np.bincount(columns.account.codes, minlength=1)
        return tuple(
            CampaignAccount(
                account_id=columns.account.names[code],
                org_id=columns.organisation.name(int(columns.organisation.codes[rows[first[at]]])),
                events=int(events[at]),
                first_seen=moment_of_seconds(int(begin[at])),
                last_seen=moment_of_seconds(int(end[at])),
                dedication=float(events[at] / sent[code]),
            )
            for at, code in zip(shown.tolist(), codes[shown].tolist(), strict=True)
        )

    def lately(self, span: timedelta) -> dict[str, int]:
        """Events by campaign id, of campaigns that have any no longer than this before the last one of all of
        them.
        """
        campaign, second = self._columns.campaign, self._columns.second
        inside = campaign >= 0
        if not inside.any():
            return {}
        since = int(second.max(where=inside, initial=-_NEVER)) - int(span.total_seconds())
        counts = np.bincount(campaign[inside & (second >= since)], minlength=len(self._ids)).tolist()
        return {name: events for name, events in zip(self._ids, counts, strict=True) if events}

    def sent_by(self, organisations: Collection[str]) -> dict[str, dict[str, int]]:
        """Events by campaign id and organisation, of these organisations, most first; only what there is."""
        column, campaign = self._columns.organisation, self._columns.campaign
        name_of, width = {column.code(name): name for name in organisations}, len(column.names)
        rows = np.flatnonzero(column.named(organisations) & (campaign >= 0))
        found: dict[str, dict[str, int]] = {}
        for pair, events in _counts(campaign[rows].astype(np.int64) * width + column.codes[rows]).items():
            number, code = divmod(pair, width)
            found.setdefault(self._ids[number], {})[name_of[code]] = events
        return found

    def account_names(self) -> Texts:
        """All accounts, ascending."""
        return self._columns.account.names

    def of_account(self, account_id: str) -> AccountTraffic:
        """What one account sent, and who acts with it. Raises UnknownAccount."""
        columns = self._columns
        rows = self._rows_of(account_id)
        second, campaign = columns.second[rows], columns.campaign[rows]
        counts = _counts(campaign[campaign >= 0])
        return AccountTraffic(
            account_id=account_id,
            events=len(rows),
            prompts=len(np.unique(columns.prompt[rows])),
            first_seen=moment_of_seconds(int(second.min())),
            last_seen=moment_of_seconds(int(second.max())),
            campaigns={self._ids[number]: events for number, events in counts.items()},
            models=_named(columns.model, rows),
            organisations=tuple(sorted(_named(columns.organisation, rows).keys() - {""})),
            clock=_clock(second),
            peers=self._peers(rows),
        )

    def busiest(self, flagged: BoolArray, most: int) -> list[FlaggedAccount]:
        """The accounts that sent most events of campaigns that are flagged, (campaigns,), most first."""
        codes = self._columns.account.codes
        inside = np.append(flagged, False)[self._columns.campaign]
        bad, events = (np.bincount(each[each >= 0], minlength=1) for each in (codes[inside], codes))
        order = np.lexsort((np.arange(len(bad)), -bad))[:most]
        names = self._columns.account.names
        return [FlaggedAccount(names[at], int(bad[at]), int(events[at])) for at in order.tolist() if bad[at]]

    def prompts_of(self, account_id: str) -> IntArray:
        """Rows of the prompts that an account sent, those it sent most often first. Raises UnknownAccount."""
        rows, events = np.unique(self._columns.prompt[self._rows_of(account_id)], return_counts=True)
        found: IntArray = rows[np.lexsort((rows, -events))].astype(np.int64)
        return found

    def campaigns_of(self, account_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """Events by campaign id, most first, of each of these accounts; none of one that is not there."""
        column = self._columns.account
        name_of = {column.code(name): name for name in account_ids}
        campaign = self._columns.campaign
        rows = np.flatnonzero(column.named(account_ids) & (campaign >= 0))
        pairs, events = np.unique(
            np.stack([column.codes[rows].astype(np.int64), campaign[rows]]), axis=1, return_counts=True
        )
        found: dict[str, dict[str, int]] = {name: {} for name in account_ids}
        for at in np.argsort(-events, kind="stable").tolist():
            code, number = pairs[:, at].tolist()
            found[name_of[code]][self._ids[number]] = int(events[at])
        return found

    def _rows_of(self, account_id: str) -> IntArray:
        column = self._columns.account
        rows: IntArray = np.flatnonzero(column.codes == column.code(account_id))
        if not len(rows):
            raise UnknownAccount("no event of the current generation is of this account")
        return rows

    def _peers(self, mine: IntArray) -> tuple[Peer, ...]:
        """Who was active in the same campaigns in the same hours as the account of these events, the nearest
        first.
        """
        columns = self._columns
        ours = np.zeros(len(self._ids) + 1, np.bool_)
        ours[columns.campaign[mine]] = True
        ours[-1] = False  # which prompts of no campaign read
        rows = np.flatnonzero(ours[self._columns.campaign])
        if not len(rows):
            return ()
        hour = columns.second[rows] // _HOUR_S
        hour -= hour.min()
        cell = columns.campaign[rows].astype(np.int64) * (int(hour.max()) + 1) + hour
        _, cell = np.unique(cell, return_inverse=True)
        account = columns.account.codes[rows].astype(np.int64)
        me, cells = int(columns.account.codes[mine[0]]), int(cell.max()) + 1
        account, cell = np.divmod(np.unique(account * cells + cell), cells)
        is_mine = np.zeros(cells, np.bool_)
        is_mine[cell[account == me]] = True
        active = np.bincount(account)
        together = np.bincount(account[is_mine[cell]], minlength=len(active))
        overlap = together / (active + active[me] - together)
        others = np.flatnonzero((together > 0) & (np.arange(len(active)) != me))
        nearest = others[np.lexsort((others, -together[others], -overlap[others]))][:_PEERS]
        names = columns.account.names
        return tuple(Peer(names[at], int(together[at]), float(overlap[at])) for at in nearest.tolist())


def _counts(values: NDArray[np.integer]) -> dict[int, int]:
    """How often each value is there, most first; of equals the least first."""
    found, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return dict(zip(found[order].tolist(), counts[order].tolist(), strict=True))


def _named(column: Coded, rows: IntArray) -> dict[str, int]:
    """Events by name, "" for none, most first."""
    return {column.name(code) or "": n for code, n in _counts(column.codes[rows]).items()}


def _clock(second: IntArray) -> tuple[tuple[int, ...], ...]:
    """Events by weekday and hour."""
    hour = second // _HOUR_S
    day = (hour // _DAY_HOURS + _MONDAY) % _WEEK_DAYS
    counts = np.bincount(day * _DAY_HOURS + hour % _DAY_HOURS, minlength=_WEEK_DAYS * _DAY_HOURS)
    return tuple(map(tuple, counts.reshape(_WEEK_DAYS, _DAY_HOURS).tolist()))


_NO_NAMES: Final = Coded(np.zeros(0, np.int32), Texts.of(()))
_NO_EVENTS: Final = EventColumns(
    np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int64), *3 * (_NO_NAMES,)
)
