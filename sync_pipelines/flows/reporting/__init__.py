"""How the syncs of the last days went: figures, plots and a page, from plain records.

Nothing here knows where the records come from. `figures` and `plots` import pandas and matplotlib, which takes a
second: they are imported where a report is made, not where one is defined."""
