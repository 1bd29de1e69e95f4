"""Answers, as a server could give them, and values that JSON can hold."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from sync_pipelines.clients.http import Answer

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


def answer(
    value: object = None,
    status: int = 200,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    return Answer(status, headers or {}, json.dumps(value).encode() if body is None else body, "api/3/x")


def anything_like(shape: Any) -> st.SearchStrategy[Any]:
    """Values of this shape, of which any part may be missing or something else."""
    if isinstance(shape, dict):
        like = st.fixed_dictionaries({}, optional={name: anything_like(part) for name, part in shape.items()})
    elif isinstance(shape, list):
        like = st.lists(anything_like(shape[0]), max_size=4)
    else:
        like = shape if isinstance(shape, st.SearchStrategy) else st.just(shape)
    return st.one_of(like, like, like, JSON)
