"""WebToLearn as a server: its reading endpoints, header, bodies, ranges and limits as they were recorded
(contracts/wtl.md A1–A14), over invented data. Deterministic: the same `Platform` answers the same."""

from sync_pipelines.sandbox.webtolearn.app import webtolearn_app
from sync_pipelines.sandbox.webtolearn.limits import RateWindow
from sync_pipelines.sandbox.webtolearn.platform import Platform

__all__ = ["Platform", "RateWindow", "webtolearn_app"]
