"""Write Tillhold plugins as plain functions over a row.

    from tillhold_sdk import DROP, Flow, refuse, transform

    @transform("ax.RETAILCUSTTABLE", reads=["RECEIPTEMAIL"], writes=["RECEIPTEMAIL"])
    def tidy(context, row):
        ...

* A rule reads the columns that it declared, changes those that it declared, and gives a verdict: nothing (the row goes
  on), `DROP`, or `refuse("why")`.
* A decision (`@resolve`) gets a conflict with its three sides; `conflict.merge` goes column by column.
* There is no clock, no file, no network, no randomness. Each batch gets a fresh instance: a global remembers nothing
  from batch to batch. Import at the top of a module: later there is nothing to import from.
* An exception refuses the batch; the profile says what then becomes of it. Selling goes on.

`testing` runs rules on your own machine, from the columns that come in to the answer that goes out.
"""

from .conflict import CHANNEL, LATER, OFFLINE, PERSON, Changed, Conflict, defer, merge, take_channel, take_offline
from .context import Context, Flow, settings
from .registry import resolve, transform
from .row import DROP, Row, refuse
from .values import Guid, OffsetTimestamp, Other, Time, Timestamp, rounded

__all__ = [
    "CHANNEL", "DROP", "LATER", "OFFLINE", "PERSON", "Changed", "Conflict", "Context", "Flow", "Guid",
    "OffsetTimestamp", "Other", "Row", "Time", "Timestamp", "defer", "merge", "refuse", "resolve", "rounded",
    "settings", "take_channel", "take_offline", "transform",
]
