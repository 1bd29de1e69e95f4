"""Who is told of trouble, when, and how often.

Pure: `incidents` (what starts, lasts and ends, and what is to be told of it) and `wording`. Around it: `states`
and a `History` say what is so, `evaluating` writes it down, `delivery` sends it. It knows no orchestrator.
"""
