"""The upstream systems as small servers with invented data: for the demo, for tests, for trying things out.

A stranger to the rest of the project: it speaks HTTP, and shares no record or rule with the clients.
"""
