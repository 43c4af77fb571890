"""What a component exports: the contract's calls, with what goes wrong said before it stops the batch.

`tillhold plugin build` names these two classes; in a test they are not used.
"""

import decimal
import gc

from componentize_py_types import Err

from . import registry, wire
from .log import heard, last_words
from .values import EXACT


# An instance lives for one batch: looking for dead cycles would touch the whole of the interpreter's memory, page by
# page, and free nothing that matters.
gc.disable()
gc.freeze()


def _answered(call, *arguments):
    # Each call counts as exactly as the first, whatever a rule did to the context.
    decimal.setcontext(EXACT.copy())
    try:
        with heard():
            return call(*arguments)
    except wire.Refused as error:
        raise Err(str(error)) from None
    except BaseException as error:
        last_words(error)
        raise


class Transform:
    def describe(self, config):
        return _answered(registry.describe_rules, config)

    def transform(self, context, table, rows, columns):
        return _answered(registry.run_rules, context, table, rows, columns)


class Resolve:
    def describe(self, config):
        return _answered(registry.describe_decisions, config)

    def resolve(self, context, conflicts):
        return _answered(registry.run_decisions, context, conflicts)
