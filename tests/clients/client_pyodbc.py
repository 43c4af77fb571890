"""pyodbc over unixODBC with FreeTDS's ODBC driver (tdsodbc): parameters are those of prepared calls."""

import os

import pyodbc
from steps import Client, Steps

# Debian puts drivers where the machine's architecture says.
DRIVER = os.environ.get("CLIENT_ODBC_DRIVER", "libtdsodbc.so")


class Pyodbc(Client):
    name = "pyodbc"
    cannot_select = {"2026-11-22T08:30:01.123456-05:30": "knows no datetimeoffset"}
    cannot_insert = {
        **cannot_select,
        "0001-01-01": "sends dates as datetime, which begins in 1753",
        **dict.fromkeys(
            ["00:00:00.000001", "9999-12-31T23:59:59.997", "2026-11-22T08:30:01.125", "2026-11-22T08:30:01.123456"],
            "writes whole seconds unless sp_datatype_info_100 tells it more, which is not there",
        ),
    }

    def connect(self, password, certificate):
        text = (
            f"Driver={DRIVER};Servername={self.freetds_name(certificate)};Database={self.database};"
            f"UID={self.user};PWD={password};ClientCharset=UTF-8;"
        )
        return pyodbc.connect(text, autocommit=False)

    def error_number(self, error):
        # "[42S02] [FreeTDS][SQL Server]Invalid object name ... (208) (SQLExecDirectW)"
        text = error.args[1]
        return next((int(part) for part in text.replace("(", ")").split(")") if part.isdigit()), text)


Steps(Pyodbc()).run()
