"""FreeTDS by its own programs: tsql for statements, freebcp for bulk loads, bsqldb (DB-Library) for a look at both.

tsql shows moments to the minute and has no parameters.
"""

import datetime
import re
import subprocess
import tempfile

from steps import Client, Steps

END = "-- end --"


class TsqlError(Exception):
    def __init__(self, text):
        super().__init__(text)
        found = re.search(r"Msg (\d+) ", text)
        self.number = int(found[1]) if found else None


class Tsql:
    """One tsql that stays, so that a transaction may span statements."""

    def __init__(self, client, password, certificate):
        self.server = client.freetds_name(certificate)
        options = ["-S", self.server, "-U", client.user, "-P", password, "-D", client.database]
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "tsql", *options, "-o", "qh", "-t", "|"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        )
        self.run("SET IMPLICIT_TRANSACTIONS ON")

    def run(self, sql):
        lines = []
        try:
            self.process.stdin.write(f"{sql}\ngo\nSELECT '{END}' AS e\ngo\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        for line in self.process.stdout:
            if line.rstrip("\n") == END:
                break
            lines.append(line.rstrip("\n"))
        else:
            raise TsqlError("\n".join(lines) or "tsql ended")
        if any(line.startswith("Msg ") for line in lines):
            raise TsqlError("\n".join(lines))
        return [tuple(cell if cell != "NULL" else None for cell in line.split("|")) for line in lines]

    def commit(self):
        self.run("IF @@TRANCOUNT > 0 COMMIT")

    def rollback(self):
        self.run("IF @@TRANCOUNT > 0 ROLLBACK")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class FreeTds(Client):
    name = "freetds"
    has_parameters = False
    cannot_load = {"  blanks  ": "cuts trailing blanks off"}

    def connect(self, password, certificate):
        # Where the server is and what certificate to trust stands in freetds.conf, by name.
        return Tsql(self, password, certificate)

    def error_number(self, error):
        return error.number or str(error)

    def run(self, connection, sql, parameters=()):
        return connection.run(sql)

    def canonical(self, kind, text):
        if text is None:
            return None
        if kind == "float":
            return repr(float(text))
        return text.upper() if kind in ("bytes", "guid") else text

    def expected(self, kind, text):
        if text is None or kind not in ("date", "time", "datetime", "datetimeoffset"):
            return text
        moment = datetime.datetime.fromisoformat(f"1900-01-01T{text}" if kind == "time" else text)
        return f"{moment:%b} {moment.day:2} {moment.year} {moment:%I:%M%p}"

    def load(self, connection, table, columns, kinds, texts):
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".bcp") as file:
            for row in texts:
                file.write("|".join("" if cell is None else cell.replace("T", " ") for cell in row) + "\n")
            file.flush()
            login = ["-S", connection.server, "-U", self.user, "-P", self.password]
            command = ["freebcp", f"{self.database}.{table}", "in", file.name, "-c", "-t", "|", *login]
            said = subprocess.run(command, capture_output=True, encoding="utf-8")
        if said.returncode != 0 or f"{len(texts)} rows copied" not in said.stdout:
            raise TsqlError(said.stdout + said.stderr)


class FreeTdsSteps(Steps):
    def definitions(self):
        super().definitions()
        self.check("bsqldb", "1|first", self.bsqldb)

    def bsqldb(self):
        client, sql = self.client, self.sql("SELECT id, note FROM {schema}.sale\ngo\n")
        options = ["-S", self.connection.server, "-U", client.user, "-P", client.password, "-D", client.database]
        command = ["bsqldb", *options, "-q", "-t", "|"]
        return subprocess.run(command, input=sql, capture_output=True, encoding="utf-8").stdout.strip()


FreeTdsSteps(FreeTds()).run()
