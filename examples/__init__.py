"""Worked examples, run by the tests; docs/adding-a-flow.md walks through them."""
