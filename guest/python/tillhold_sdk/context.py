"""What a plugin knows about a batch, and how its config reads."""

from . import wire
from .values import Timestamp

# PULL: down, from the channel database to the register. PUSH: up.
Flow = wire.types.Flow

_known = []


def settings(*names):
    """Declares the names that the config may set; without it the config is the plugin's own affair.

    A config then has lines `name=value`; `;` may stand for a line's end, `#` opens a comment. An unknown name is told
    when the plugin is loaded, not at a sale.
    """
    _known[:] = names


class Context:
    """Given with every batch. There is nothing else to ask: no clock, no file, no network.

    `flow`, `scope`, `store`, `register`; `time` is the batch's logical time in UTC, a Timestamp; `config` is the
    profile's text for this plugin.
    """

    __slots__ = ("config", "flow", "register", "scope", "store", "time", "_own", "_settings")

    def __init__(self, given):
        self.config = given.config
        self.flow = given.flow
        self.scope = given.scope
        self.store = given.store
        self.register = given.register
        self.time = Timestamp(given.time)
        self._own = given.store.rstrip(" ").lower()
        self._settings = parse(given.config, _known)

    def setting(self, name):
        """What the config says under `name`, if the plugin declared its settings; else None."""
        return self._settings.get(name)

    def is_own_store(self, store):
        """Whether it is this store's number: as SQL Server compares, blind to case and to blanks at the end."""
        if not store or not self._own:
            return False
        return store == self.store or self._own == store.rstrip(" ").lower()


def check(config):
    parse(config, _known)


def parse(config, known):
    read = {}
    if not known:
        return read
    for line in config.replace(";", "\n").split("\n"):
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        name, is_set, value = line.partition("=")
        name = name.strip()
        if not is_set:
            raise wire.Refused(f"'{line}' is not name=value")
        if name not in known:
            raise wire.Refused(f"there is no setting '{name}'; there are {', '.join(known)}")
        if name in read:
            raise wire.Refused(f"'{name}' is set twice")
        read[name] = value.strip()
    return read
