"""A Dagster that does not answer, or answers something else."""

from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sync_pipelines.errors import DagsterUnavailable
from sync_pipelines.service.orchestrator import Orchestrator

NOT_DAGSTER: list[Callable[..., Response]] = [
    lambda: HTMLResponse("<html>Log in</html>"),
    lambda: HTMLResponse("<html>Bad gateway</html>", 502),
    lambda: JSONResponse({"errors": [{"message": "no such field"}]}),
    lambda: JSONResponse({"data": None}),
    lambda: JSONResponse([]),
    lambda: JSONResponse("ok"),
    lambda: JSONResponse({"data": {"runsOrError": {"__typename": "PythonError"}}}),
    lambda: Response(status_code=302, headers={"Location": "http://127.0.0.1:9/login"}),
]


@pytest.mark.parametrize("answer", NOT_DAGSTER)
def test_what_is_no_dagster_is_said_to_be_unavailable(
    serve: Callable[..., str], answer: Callable[..., Response]
) -> None:
    async def graphql(_request: Any) -> Response:
        return answer()

    address = serve(Starlette(routes=[Route("/graphql", graphql, methods=["POST"])]))

    async def look() -> None:
        async with Orchestrator(f"{address}/graphql") as orchestrator:
            await orchestrator.live()

    with pytest.raises(DagsterUnavailable):
        anyio.run(look)


def test_without_dagster_a_sync_is_refused_for_a_while_and_nothing_is_begun(
    api: httpx.Client, token: Callable[..., str]
) -> None:
    headers = {"Authorization": f"Bearer {token('operator')}"}
    for answer in (
        api.post("/api/sync/progress", headers=headers),
        api.get("/api/sync/runs/5f0c3c0e-4f6b-4a1e-9a53-0d5a6a1f2b3c", headers=headers),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert "Dagster" in answer.json()["detail"]
