"""Bakalari (Czech school information system)."""
