"""The HTTP service: the learners' progress API, and whether the service is well.

`app` puts it together; `envelope`, `access`, `bodies` and `refusals` are what all of its routes share.
"""
