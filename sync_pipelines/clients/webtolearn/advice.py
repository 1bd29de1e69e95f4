"""What to do about what was found out about a platform, in sentences that a person can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sync_pipelines.clients.webtolearn.findings import RANGE_NAMES, Advice, Diagnosis, Endpoint, State

__all__ = ["advise"]

_FEW_REQUESTS = 100

_NO_PAGES = "such a platform cannot be paged, and a sync would"
_NO_TOTAL = (
    "Content-Range is missing, or has no total: nothing is proven whole, runs end incomplete, and nothing would "
    "ever be marked as vanished. Ask the vendor."
)
_READABLE = (
    "Lessons of a course can be read by {way}: `sync-pipelines run wtl --course {course}` does, into "
    "wtl.remote_course_lessons; the local mapping wtl.course_lessons stays as it is."
)
_LOCAL = "use the local mapping wtl.course_lessons; the lesson catalog is synced from the global list."
_NOT_PROVEN = (
    "Course {course} does not show whether lessons of a course can be read: ask about one that has some lessons, "
    f"and not all of them. Until one shows it, {_LOCAL}"
)
_NOT_CLEAR = (
    "Whether lessons of a course can be read did not become clear: ask again later. Until then a run with "
    "--course ends incomplete, and changes nothing."
)
# By what was observed, and its state. Where nothing needs to be said, nothing is.
_ADVICE: Mapping[str, tuple[State, str]] = {
    "course unknown": (
        "problem",
        "The platform does not know course {course} (404): ask about one that it lists.",
    ),
    "list failed": ("problem", "Lessons cannot be listed ({why}): a sync of them would stop with an error."),
    "rows refused": ("warning", "{refused} of {rows} rows are no lessons ({reasons}): a sync would refuse them."),
    "range fine": ("ok", "range is taken as {range}: fine, a sync reads it right."),
    "range limit-offset": (
        "problem",
        f"range is taken as {{range}}: {_NO_PAGES} stop with an error. Ask the vendor.",
    ),
    "range page-size": ("problem", f"range is taken as {{range}}: {_NO_PAGES} end incomplete. Ask the vendor."),
    "range ignored": ("problem", f"range is ignored: {_NO_PAGES} end incomplete. Ask the vendor."),
    "range unclear": (
        "warning",
        "What range means is unclear: a sync reads a list right, or says that it cannot.",
    ),
    "range too_few_rows": ("warning", "What range means shows only with three lessons or more: ask again then."),
    "sort_by_id ignored": (
        "warning",
        "sort by id is ignored: a sync would stop at a list longer than one answer.",
    ),
    "content_range missing": ("problem", _NO_TOTAL),
    "content_range wrong": ("warning", "Content-Range is wrong ({header}): a sync takes all rows that come."),
    "relation available": ("ok", _READABLE),
    "course shows none": ("warning", "Of course {course} itself: {own}. A sync takes no lesson of it."),
    "relation not_available": ("warning", f"Lessons of a course cannot be read from this platform: {_LOCAL}"),
    "relation not_proven": ("warning", _NOT_PROVEN),
    "relation not_clear": ("warning", _NOT_CLEAR),
    "order missing": ("warning", "The course's lessons have no order: their position stays empty."),
    "sort_by_order ignored": ("ok", 'sort=["order","ASC"] does nothing: fine, a sync sorts by id.'),
    "hour ends": ("warning", "Only {left} requests are left this hour: a sync may stop, and go on in the next."),
}


def advise(found: Diagnosis) -> Iterator[Advice]:
    """The sentences for what was found, the most important first."""
    whole = found.endpoints[0]
    facts = {
        "course": found.course_id,
        "why": whole.why,
        "rows": whole.rows,
        "refused": sum(whole.refused.values()),
        "reasons": "; ".join(f"{reason}: {count}" for reason, count in whole.refused.items()),
        "range": RANGE_NAMES.get(found.range.state),
        "header": found.content_range.why,
        "way": found.relation.way,
        "own": _own(found),
        "left": found.requests["left_hour"],
    }
    for topic in _topics(found, whole):
        if topic in _ADVICE:
            state, text = _ADVICE[topic]
            yield Advice(state, text.format(**facts))


def _own(found: Diagnosis) -> str | None:
    """Why the course asked about shows no lesson, where others do."""
    its_own = (e for e in found.endpoints if e.name == f"{found.relation.way}, this course")
    return next((endpoint.why for endpoint in its_own if endpoint.verdict == "not_proven"), None)


def _topics(found: Diagnosis, whole: Endpoint) -> Iterator[str]:
    yield f"course {found.course.state}"
    if whole.rows is None:
        yield "list failed"
    else:
        if whole.refused:
            yield "rows refused"
        specific = f"range {found.range.state}"
        yield specific if specific in _ADVICE else "range fine"
        yield f"sort_by_id {found.sort_by_id.state}"
        yield f"content_range {found.content_range.state}"
    yield f"relation {found.relation.state}"
    if _own(found) is not None:
        yield "course shows none"
    if any(e.verdict == "shown" and not e.fields["order"] for e in found.endpoints):
        yield "order missing"
    yield f"sort_by_order {found.sort_by_order.state}"
    left = found.requests["left_hour"]
    if isinstance(left, int) and left < _FEW_REQUESTS:
        yield "hour ends"
