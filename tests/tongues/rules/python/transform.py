"""The rule that every language writes: addresses masked, other stores' sales left out, amounts in whole cents."""

import sys

from tillhold_sdk import DROP, refuse, rounded, transform

TABLE = "ax.RETAILTRANSACTIONTABLE"


@transform(TABLE, reads=["STORE", "RECEIPTEMAIL", "GROSSAMOUNT"], writes=["RECEIPTEMAIL", "GROSSAMOUNT"])
def sales(context, row):
    if not context.is_own_store(row.text("STORE")):
        return DROP
    address = row.text("RECEIPTEMAIL")
    if address:
        name, at, domain = address.partition("@")
        if not at or not name:
            return refuse("RECEIPTEMAIL is no address")
        row.set("RECEIPTEMAIL", f"{name[0]}***@{domain}")
    amount = row.decimal("GROSSAMOUNT")
    if amount is not None:
        cents = rounded(amount, 2)
        if cents != amount:
            row.set("GROSSAMOUNT", cents)
    return None


SHAPES = ["BIT", "BIG", "FLT", "DEC", "TXT", "BIN", "DAY", "TIM", "AT", "OFFS", "GUID"]
COPIES = [shape + "2" for shape in SHAPES]


@transform("ax.SHAPES", reads=SHAPES, writes=COPIES)
def copied(context, row):
    """Every shape of value goes in and comes out whole."""
    for shape, copy in zip(SHAPES, COPIES):
        row.set(copy, row.value(shape))


@transform("ax.WORDS", reads=["WORD"])
def heard(context, row):
    """What is said to the operator, also where no line's end follows."""
    print("heard", row.text("WORD"))
    print("warned", file=sys.stderr, end="")
