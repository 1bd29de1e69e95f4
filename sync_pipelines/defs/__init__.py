"""The flows as Dagster sees them. With definitions.py the only package that imports dagster; it holds no rule of
any upstream. Never `from __future__ import annotations` in here: Dagster reads the annotations."""
