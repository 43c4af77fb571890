"""python-tds: the protocol written anew in Python. Its TLS needs a pyOpenSSL that still has X509.get_extension."""

from decimal import Decimal

import pytds
from pytds.tds_base import Column
from pytds.tds_types import DateTimeType, DecimalType, IntType, NVarCharType, VarCharType
from steps import Client, Steps, python_rows


class Pytds(Client):
    name = "pytds"
    placeholder = "%s"

    def connect(self, password, certificate):
        return pytds.connect(
            dsn=self.host, port=int(self.port), database=self.database, user=self.user, password=password,
            cafile=certificate, validate_host=True, autocommit=False, login_timeout=15,
        )

    def error_number(self, error):
        return getattr(error, "number", None) or getattr(error, "msg_no", None) or str(error)

    def output(self, connection, statement, declarations, once):
        twice = pytds.output(param_type="bigint", value=0)
        with connection.cursor() as cursor:
            return cursor.callproc("sp_executesql", [statement, declarations, once, twice])[-1]

    def parameter(self, kind, value):
        return pytds.Binary(value) if kind == "bytes" else value

    def canonical(self, kind, value):
        # It reads decimals without the zeros at their end.
        return super().canonical(kind, value.normalize() if kind == "decimal" and value is not None else value)

    def expected(self, kind, text):
        return text if text is None or kind != "decimal" else format(Decimal(text).normalize(), "f")

    def load(self, connection, table, columns, kinds, texts):
        types = [IntType(), NVarCharType(40), DecimalType(32, 16), DateTimeType(), VarCharType(20)]
        schema, name = table.split(".")
        with connection.cursor() as cursor:
            cursor.copy_to(
                table_or_view=name, schema=schema, data=python_rows(kinds, texts),
                columns=[
                    Column(name=column, type=of, flags=Column.fNullable if column != "id" else 0)
                    for column, of in zip(columns, types)
                ],
            )


Steps(Pytds()).run()
