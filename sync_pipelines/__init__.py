"""One-way, idempotent synchronisation of school systems into PostgreSQL, run by Dagster."""

__all__ = ["__version__"]

__version__ = "0.1.0"
