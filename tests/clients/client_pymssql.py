"""pymssql, with the FreeTDS that its wheel brings. It sends its parameters as literals of a batch."""

import pymssql
from steps import Client, Steps, python_rows


class Pymssql(Client):
    name = "pymssql"
    placeholder = "%s"
    cannot_insert = {"2026-11-22T08:30:01.123456": "writes three decimals of a second"}
    cannot_load = {"Grüße €": "sends UTF-8 as varchar", "  blanks  ": "cuts trailing blanks off"}

    def connect(self, password, certificate):
        # TLS and what certificate to trust stand in freetds.conf, under the name of the server.
        return pymssql.connect(
            server=self.freetds_name(certificate), port=self.port, user=self.user, password=password,
            database=self.database, charset="UTF-8",
        )

    def error_number(self, error):
        return error.args[0][0] if isinstance(error.args[0], tuple) else error.args[0]

    def load(self, connection, table, columns, kinds, texts):
        connection.bulk_copy(table, python_rows(kinds, texts))


Steps(Pymssql()).run()
