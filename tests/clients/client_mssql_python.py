"""mssql-python, Microsoft's own: ODBC Driver 18 for queries, the Rust library mssql-tds for bulk loads."""

import os

import mssql_python
from steps import Client, Steps, python_rows


class MssqlPython(Client):
    name = "mssql_python"
    cannot_insert = {"0001-01-01": "refuses dates before 1753"}
    # The driver hands on SQL Server's words without their number.
    words = {
        "Login failed for user": 18456,
        "Violation of PRIMARY KEY constraint": 2627,
        "Invalid object name": 208,
        "Invalid column name": 207,
        "statement conflicted with": 547,
        "Incorrect syntax near": 102,
    }

    def connect(self, password, certificate):
        # The driver trusts what OpenSSL trusts, which this says.
        os.environ["SSL_CERT_FILE"] = certificate
        text = (
            f"Server={self.host},{self.port};Database={self.database};UID={self.user};PWD={{{password}}};"
            f"Encrypt=Mandatory;TrustServerCertificate=no;ConnectRetryCount=0;"
        )
        return mssql_python.connect(text, autocommit=False)

    def error_number(self, error):
        return next((number for words, number in self.words.items() if words in str(error)), str(error))

    def load(self, connection, table, columns, kinds, texts):
        connection.cursor().bulkcopy(table, python_rows(kinds, texts))


Steps(MssqlPython()).run()
