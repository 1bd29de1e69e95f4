"""`python -m sync_pipelines` is `sync-pipelines`."""

from sync_pipelines.cli import main

main()
