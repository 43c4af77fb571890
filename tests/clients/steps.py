"""What every client must do, for those that are called from Python.

A client is a module with an object `client` of the class Client; this file takes it through the steps and prints one
line for each: `client step ok` or `client step FAILED expected ... got ...`. What is expected stands in expected.json.
"""

import datetime
import decimal
import json
import os
import pathlib
import sys
import uuid

EXPECTED = json.loads((pathlib.Path(__file__).parent / "expected.json").read_text("utf-8"))


class Client:
    """What the steps need of a client; the places that differ from DB-API 2 (PEP 249) are overridden."""

    name = ""
    placeholder = "?"
    # Values (as in expected.json) that the client cannot read, or cannot pass, whatever the server; and why.
    cannot_select = {}
    cannot_insert = {}
    cannot_load = {}
    # Without parameters values are written into the statement.
    has_parameters = True

    host = os.environ.get("CLIENT_HOST", "localhost")
    port = os.environ.get("CLIENT_PORT", "1433")
    database = "Channel"
    user = os.environ.get("CLIENT_USER", "owner")
    password = os.environ.get("CLIENT_PASSWORD", "")
    certificate = os.environ.get("CLIENT_CERTIFICATE", "channel-certificate.pem")
    other_certificate = os.environ.get("CLIENT_OTHER_CERTIFICATE", "")

    def connect(self, password, certificate):
        """Logs in over TLS, checks the server's certificate against this file, does not commit by itself."""
        raise NotImplementedError

    def error_number(self, error):
        raise NotImplementedError

    def freetds_name(self, certificate):
        """Under which name freetds.conf has the server with this certificate to trust."""
        return "channel" if certificate == self.certificate else "other"

    def load(self, connection, table, columns, kinds, texts):
        """The client's own bulk load, of rows in canonical writing."""
        raise NotImplementedError

    def output(self, connection, statement, declarations, once):
        """What sp_executesql leaves in the parameter @twice."""
        raise NotImplementedError

    def parameter(self, kind, value):
        return value

    def canonical(self, kind, value):
        return canonical(kind, value)

    def expected(self, kind, text):
        """What of this text the client shows."""
        return text

    def run(self, connection, sql, parameters=()):
        cursor = connection.cursor()
        if parameters:
            cursor.execute(sql, parameters)
        else:
            cursor.execute(sql)
        rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        cursor.close()
        return rows


def canonical(kind, value):
    """A client's value in the writing of expected.json."""
    if value is None:
        return None
    if kind == "bool":
        return str(int(value))
    if kind == "int":
        return str(value)
    if kind == "decimal":
        return format(value, "f")
    if kind == "float":
        return repr(value)
    if kind == "guid":
        return str(value).upper()
    if kind == "bytes":
        return bytes(value).hex().upper()
    if kind in ("time", "datetime"):
        return without_zeros(value.isoformat())
    if kind == "datetimeoffset":
        text = value.isoformat()
        return without_zeros(text[:-6]) + text[-6:]
    if kind == "date":
        return value.isoformat()
    return value


def without_zeros(text):
    return text.rstrip("0").rstrip(".") if "." in text else text


def python_value(kind, text):
    """The other way: what a Python program would pass."""
    if text is None:
        return None
    read = {
        "bool": lambda text: text == "1",
        "int": int,
        "decimal": decimal.Decimal,
        "float": float,
        "guid": uuid.UUID,
        "bytes": bytes.fromhex,
        "date": datetime.date.fromisoformat,
        "time": datetime.time.fromisoformat,
        "datetime": datetime.datetime.fromisoformat,
        "datetimeoffset": datetime.datetime.fromisoformat,
        "text": str,
    }
    return read[kind](text)


def short(what):
    text = repr(what)
    return text if len(text) < 400 else text[:400] + "..."


def first_difference(expected, got):
    """Of two lists of rows: empty when they are alike."""
    for want, have in zip(expected, got):
        if want != have:
            return f"expected {want} got {have}"
    return "" if len(expected) == len(got) else f"expected {len(expected)} rows got {len(got)}"


def python_rows(kinds, texts):
    return [tuple(map(python_value, kinds, row)) for row in texts]


def column(at, one):
    collation = f" COLLATE {one['collation']}" if "collation" in one else ""
    return f"c{at} {one['type']}{collation} NULL"


class Steps:
    def __init__(self, client):
        self.client = client
        self.failed = 0
        self.connection = None

    def sql(self, text, **more):
        columns = ", ".join(map(column, range(len(EXPECTED["types"])), EXPECTED["types"]))
        return text.format(schema=f"of_{self.client.name}", columns=columns, **more)

    def check(self, step, expected, act):
        """Runs one step. Whatever a client raises is what was got: a failed step does not end the others."""
        try:
            got = act()
        except Exception as error:  # clients raise what they like
            got = f"{type(error).__name__}: {error}"
        if got == expected:
            print(f"{self.client.name} {step} ok", flush=True)
        else:
            self.failed += 1
            differ = f"expected {short(expected)} got {short(got)}"
            print(f"{self.client.name} {step} FAILED {differ}", flush=True)

    def skip(self, step, reason):
        print(f"{self.client.name} {step} left out: {reason}", flush=True)

    def error(self, act):
        try:
            act()
        except Exception as error:
            return self.client.error_number(error)
        return None

    def query(self, kinds, sql, parameters=(), connection=None):
        """The rows in canonical writing."""
        rows = self.client.run(connection or self.connection, sql, parameters)
        return [list(map(self.client.canonical, kinds, row)) for row in rows]

    def run(self):
        self.logins()
        if self.connection is None:
            sys.exit(1)
        self.definitions()
        self.selects()
        self.inserts()
        self.outputs()
        self.bulk()
        self.errors()
        self.transactions()
        self.connection.close()
        sys.exit(1 if self.failed else 0)

    def logins(self):
        client = self.client

        def login():
            self.connection = client.connect(client.password, client.certificate)
            return self.query(["text", "text"], "SELECT SUSER_SNAME() AS u, DB_NAME() AS d")

        def untrusted():
            try:
                client.connect(client.password, client.other_certificate).close()
            except Exception:
                return "refused"
            return "accepted"

        wrong = lambda: client.connect("not the password", client.certificate)
        self.check("certificate of another", "refused", untrusted)
        self.check("login over TLS", [[client.user, client.database]], login)
        self.check("wrong password", 18456, lambda: self.error(wrong))

    def definitions(self):
        def define():
            for statement in EXPECTED["ddl"]:
                self.client.run(self.connection, self.sql(statement))
            self.connection.commit()
            return self.query(["int", "text"], self.sql("SELECT id, note FROM {schema}.sale"))

        self.check("definitions", [["1", "first"]], define)

    def selects(self):
        for one in EXPECTED["types"]:
            step = f"select {one['type']}"
            if one["text"] in self.client.cannot_select:
                self.skip(step, self.client.cannot_select[one["text"]])
                continue
            sql = f"SELECT CAST({one['literal']} AS {one['type']}) AS v, CAST(NULL AS {one['type']}) AS n"
            expected = self.client.expected(one["kind"], one["text"])
            self.check(step, [[expected, None]], lambda: self.query([one["kind"]] * 2, sql))

    def inserts(self):
        for at, one in enumerate(EXPECTED["types"]):
            step = f"insert {one['type']}"
            if one["text"] in self.client.cannot_insert:
                self.skip(step, self.client.cannot_insert[one["text"]])
                continue
            expected = self.client.expected(one["kind"], one["text"])
            self.check(step, [[expected]], lambda: self.insert(at, one))
        self.connection.commit()
        self.check("insert NULL", [["2", None]], self.insert_null)

    def insert(self, at, one):
        into = f"INSERT INTO {{schema}}.one_of_each (id, c{at}) VALUES ({at}, "
        if self.client.has_parameters:
            value = self.client.parameter(one["kind"], python_value(one["kind"], one["text"]))
            self.client.run(self.connection, self.sql(into + f"{self.client.placeholder})"), (value,))
        else:
            self.client.run(self.connection, self.sql(into) + f"{one['literal']})")
        return self.query([one["kind"]], self.sql(f"SELECT c{at} FROM {{schema}}.one_of_each WHERE id = {at}"))

    def insert_null(self):
        into = self.sql("INSERT INTO {schema}.sale (id, note) VALUES ")
        mark = self.client.placeholder
        if self.client.has_parameters:
            self.client.run(self.connection, into + f"({mark}, {mark})", (2, None))
        else:
            self.client.run(self.connection, into + "(2, NULL)")
        self.connection.commit()
        return self.query(["int", "text"], self.sql("SELECT id, note FROM {schema}.sale WHERE note IS NULL"))

    def outputs(self):
        if type(self.client).output is Client.output:
            return self.skip("output parameter", "the client cannot ask for one of a statement")
        asked = [EXPECTED["output"][part] for part in ("statement", "declarations", "once")]
        output = lambda: canonical("int", self.client.output(self.connection, *asked))
        self.check("output parameter", EXPECTED["output"]["twice"], output)

    def bulk(self):
        if type(self.client).load is Client.load:
            return self.skip("bulk load", "the client has none")
        kinds, edges, count = (EXPECTED["bulk"][part] for part in ("kinds", "rows", "numbered"))
        for text, reason in self.client.cannot_load.items():
            self.skip(f"bulk load of {text!r}", reason)
            edges = [row for row in edges if text not in row]
        texts = edges + [[str(n), f"row {n}", f"{n % 9 + 1}.{'0' * 16}", None, "A"] for n in range(1, count + 1)]
        columns = ["id", "name", "amount", "at", "code"]
        table = self.sql("{schema}.loaded")

        def load():
            self.client.load(self.connection, table, columns, kinds, texts)
            self.connection.commit()
            found = self.query(kinds, f"SELECT {', '.join(columns)} FROM {table} ORDER BY id")
            wanted = sorted(texts, key=lambda row: int(row[0]))
            return first_difference([list(map(self.client.expected, kinds, row)) for row in wanted], found)

        self.check(f"bulk load of {len(texts)} rows", "", load)

    def errors(self):
        for one in EXPECTED["errors"]:
            fails = lambda: self.client.run(self.connection, self.sql(one["sql"]))
            self.check(f"error {one['number']}", one["number"], lambda: self.error(fails))
        self.connection.rollback()
        count = self.sql("SELECT COUNT(*) AS n FROM {schema}.sale")
        self.check("after the errors", [["2"]], lambda: self.query(["int"], count))

    def transactions(self):
        for number, (end, expected) in enumerate([("rollback", "0"), ("commit", "1")], start=10):
            ended = lambda: self.transaction(number, end)
            self.check(f"transaction, {end}", ([["1"]], [[expected]]), ended)

    def transaction(self, number, end):
        """What it sees itself, and what another connection sees after its end."""
        change, count = (self.sql(EXPECTED["transaction"][part], id=number) for part in ("change", "count"))
        self.connection.commit()
        self.client.run(self.connection, change)
        inside = self.query(["int"], count)
        getattr(self.connection, end)()
        other = self.client.connect(self.client.password, self.client.certificate)
        outside = self.query(["int"], count, connection=other)
        other.close()
        return inside, outside
