"""Occurrences of schedules through two years, worked out another way than the engine does it.

A zone is a list of stretches with one offset each, found by asking zoneinfo hour by hour. A local time is due at the first
moment at which the clocks of the zone show it or a later time. Reads cases as JSON, prints `case TAB name TAB seconds`.
"""

import calendar
import json
import sys
from bisect import bisect_right
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
END = datetime(2028, 1, 1, tzinfo=timezone.utc)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MARGIN = timedelta(days=3)
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def offset(zone, moment):
    return moment.astimezone(zone).utcoffset()


def stretches(name):
    """[first moment, moment after the last, offset], in order."""
    zone, found = ZoneInfo(name), []
    start = BEGIN - MARGIN
    at, here = start, offset(zone, start)
    while at < END + MARGIN:
        later = at + timedelta(hours=1)
        if offset(zone, later) != here:
            low, high = at, later
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low).total_seconds() // 2)
                low, high = (middle, high) if offset(zone, middle) == here else (low, middle)
            found.append((start, high, here))
            start, here = high, offset(zone, high)
        at = later
    found.append((start, at, here))
    return found


def due(zone, local):
    """The first moment at which clocks show `local` or later."""
    for begin, end, shift in zone:
        moment = local.replace(tzinfo=timezone.utc) - shift
        if moment < end:
            return max(begin, moment)
    return None


def shown(zone, moment):
    _, _, shift = zone[bisect_right(zone, moment, key=lambda stretch: stretch[0]) - 1]
    return (moment + shift).replace(tzinfo=None), shift


def named(zone, moment):
    local, shift = shown(zone, moment)
    minutes = int(shift.total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    hours, minutes = divmod(abs(minutes), 60)
    return f"{local:%Y-%m-%dT%H:%M}{sign}{hours:02}:{minutes:02}"


def dates(case):
    """Every so many days or months from a first one."""
    count, unit = case["count"], case["unit"]
    first = date.fromisoformat(case.get("start") or "1970-01-01")
    at = 0
    while True:
        if unit == "mo":
            month = first.month - 1 + at * count
            year, month = first.year + month // 12, month % 12 + 1
            day = min(first.day, calendar.monthrange(year, month)[1])
            found = date(year, month, day)
        else:
            found = first + timedelta(days=at * count * (7 if unit == "w" else 1))
        if found >= (END + MARGIN).date():
            return
        if found >= (BEGIN - MARGIN).date():
            yield found
        at += 1


def field(text, low, high, names=()):
    values = set()
    for part in text.split(","):
        part, _, step = part.partition("/")
        if part == "*":
            first, last = low, high
        else:
            first, _, last = part.partition("-")
            number = lambda word: names.index(word) if word in names else int(word)
            first, last = number(first), number(last or first)
        values.update(range(first, last + 1, int(step or 1)))
    return values


class Cron:
    def __init__(self, text):
        minute, hour, day, month, weekday = text.split()
        self.minutes = sorted(field(minute, 0, 59))
        self.hours = sorted(field(hour, 0, 23))
        self.days, self.any_day = field(day, 1, 31), day == "*"
        self.months = field(month, 1, 12)
        self.weekdays = {value % 7 for value in field(weekday, 0, 7, DAYS)}
        self.any_weekday = weekday == "*"

    def has(self, on):
        if on.month not in self.months:
            return False
        by_day, by_weekday = on.day in self.days, on.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return by_day and by_weekday
        return by_day or by_weekday


def occurrences(case, zone):
    """Pairs of moment and name; of two with the same moment the last one counts."""
    kind = case["kind"]
    if kind == "at":
        local = datetime.fromisoformat(case["at"])
        yield due(zone, local), f"{local:%Y-%m-%d}"
    elif kind == "every":
        hour, minute = map(int, case["time"].split(":"))
        for on in dates(case):
            local = datetime(on.year, on.month, on.day, hour, minute)
            yield due(zone, local), on.isoformat()
    elif kind == "elapsed":
        step = timedelta(minutes=case["minutes"])
        at = EPOCH + ((BEGIN - EPOCH) // step) * step
        while at < END:
            yield at, named(zone, at)
            at += step
    elif kind == "cron":
        cron = Cron(case["cron"])
        if len(cron.hours) == 24:
            for begin, end, shift in zone:
                hour = (begin + shift).replace(minute=0, second=0)
                while hour - shift < end:
                    for minute in cron.minutes:
                        local = hour + timedelta(minutes=minute)
                        if begin <= local - shift < end and cron.has(local.date()):
                            yield local - shift, named(zone, local - shift)
                    hour += timedelta(hours=1)
            return
        once_a_day = len(cron.hours) == 1 and len(cron.minutes) == 1
        on = (BEGIN - MARGIN).date()
        while on < (END + MARGIN).date():
            if cron.has(on):
                for hour in cron.hours:
                    for minute in cron.minutes:
                        at = due(zone, datetime(on.year, on.month, on.day, hour, minute))
                        if at is not None:
                            yield at, on.isoformat() if once_a_day else named(zone, at)
            on += timedelta(days=1)


def main():
    zones = {}
    for number, case in enumerate(json.loads(sys.argv[1])):
        zone = zones.setdefault(case["zone"], None) or stretches(case["zone"])
        zones[case["zone"]] = zone
        found = {}
        for moment, name in occurrences(case, zone):
            if moment is not None and BEGIN <= moment < END:
                found[moment] = name
        for moment in sorted(found):
            print(number, found[moment], int((moment - EPOCH).total_seconds()), sep="\t")


main()
