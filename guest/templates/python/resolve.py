"""Rows that both sides changed: what the customer said at the till counts."""

from tillhold_sdk import LATER, OFFLINE, PERSON, resolve


@resolve("ax.RETAILCUSTTABLE", reads="*", writes="*")
def receipt_wishes(context, conflict):
    return conflict.merge(winner)


def winner(column):
    """What only one side changed is taken anyway; this is asked for what both changed."""
    if column in ("RECEIPTEMAIL", "RECEIPTOPTION"):
        return OFFLINE
    return LATER if column == "MODIFIEDDATETIME" else PERSON
