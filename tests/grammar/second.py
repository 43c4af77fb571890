"""A second parser of T-SQL, made by other people from another grammar (pytsql: the ANTLR project's TSqlParser).

second.py UNKNOWN WRONG FILE...   each line of a file: name, tab, statement (\\n, \\t and \\\\ escaped)

* What its grammar is known not to know stands in UNKNOWN with what it is given instead; anything else that it
  refuses is a finding, and so is an entry that it no longer needs.
* It refuses what is in WRONG, but for the statements whose third column says that it takes them.
* Exit status: 0 no finding, 1 findings.
"""

import re
import sys

from antlr4 import InputStream
from pytsql.grammar import SA_ErrorListener, parse

ESCAPED = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}


class First(SA_ErrorListener):
    """The first complaint, with line and column."""

    def __init__(self):
        self.complaint = None

    def syntaxError(self, input_stream, offendingSymbol, char_index, line, column, msg):
        self.complaint = self.complaint or f"line {line}, column {column}: {msg[:120]}"


def complaint(sql):
    first = First()
    parse(InputStream(sql), "tsql_file", first)
    return first.complaint


def lines(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                yield line.rstrip("\n").split("\t")


def plain(text):
    return re.sub(r"\\[nt\\]", lambda found: ESCAPED[found[0]], text)


def simplified(sql, unknown, but=None):
    for name, expression, instead in unknown:
        if name != but:
            sql = re.sub(expression, instead, sql)
    return sql


def still_needed(entry, statements, unknown):
    """Whether a statement that has the construct is refused as it is."""
    name, expression, _ = entry
    having = (sql for _, sql in statements if re.search(expression, sql))
    return any(complaint(simplified(sql, unknown, but=name)) for sql in having)


def refused(statements, unknown):
    for name, sql in statements:
        sql = simplified(sql, unknown)
        if found := complaint(sql):
            yield f"REFUSED by pytsql: {name}, {found}\n{sql}"


def taken(wrong):
    for name, sql, *takes in lines(wrong):
        if bool(complaint(plain(sql))) == bool(takes):
            yield f"{'REFUSED after all' if takes else 'TAKEN'} by pytsql: {name}"


def main(unknown_path, wrong_path, *paths):
    unknown = list(lines(unknown_path))
    statements = [(name, plain(sql)) for path in paths for name, sql in lines(path)]
    findings = [*refused(statements, unknown), *taken(wrong_path)]
    for entry in unknown:
        if not still_needed(entry, statements, unknown):
            findings.append(f"NOT NEEDED any more, take it out of {unknown_path}: {entry[0]}")
    print(*findings, sep="\n", end="\n" if findings else "")
    outcome = f"{len(findings)} findings" if findings else "all taken, and the wrong ones refused"
    print(f"pytsql: {len(statements)} statements, {len(unknown)} known gaps of its grammar: {outcome}")
    return 0 if statements and not findings else 1


sys.exit(main(*sys.argv[1:]))
