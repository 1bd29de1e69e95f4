"""Clients of the upstream systems: HTTP in, frozen records out. They know no database and no sync engine."""
