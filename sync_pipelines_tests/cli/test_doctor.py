from collections.abc import Callable

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.cli.commands import Run, result


def test_doctor_finds_what_stands_in_the_way(cli: Run, wtl: Callable[..., dict[str, str]]) -> None:
    environment = wtl(Platform.invented())
    well = cli("doctor", **environment)
    assert well.returncode == 0, well
    assert environment["WTL_API_TOKEN"] not in well.stdout
    ill = cli("doctor", "--json", **(environment | {"WTL_API_TOKEN": "hunter22"}))
    assert ill.returncode == 1
    assert result(ill)["healthy"] is False
    assert "hunter22" not in ill.stdout + ill.stderr
