"""The business in one place: which upstream goes through which mapping into which table, and in which order."""
