"""Rows on their way: addresses for receipts come to the register in one spelling."""

from tillhold_sdk import Flow, refuse, transform


@transform("ax.RETAILCUSTTABLE", reads=["RECEIPTEMAIL"], writes=["RECEIPTEMAIL"])
def tidy(context, row):
    if context.flow is Flow.PUSH:
        return None
    address = row.text("RECEIPTEMAIL") or ""
    tidied = address.strip().lower()
    if tidied and "@" not in tidied:
        return refuse("RECEIPTEMAIL is no address")
    if tidied != address:
        row.set("RECEIPTEMAIL", tidied)
    return None
