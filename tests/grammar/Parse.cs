// Reads files of "name<TAB>statement" lines (\n, \t and \\ escaped) and has each statement parsed as SQL Server 2016
// and as SQL Server 2019 read it. After --wrong every statement must be refused by both, else by neither.
// Prints what is otherwise than it must be; exit 0 only if nothing is. It parses, it does not bind: names are not checked.
using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Threading;
using Microsoft.SqlServer.TransactSql.ScriptDom;

public static class Parse
{
    public static int Main(string[] arguments)
    {
        bool wrong = arguments[0] == "--wrong";
        var statements = new List<string[]>();
        for (int at = wrong ? 1 : 0; at < arguments.Length; at++)
            foreach (string line in File.ReadAllLines(arguments[at]))
                if (line.Length > 0 && line[0] != '#') statements.Add(line.Split('\t'));
        int surprises = Both(wrong, statements);
        Console.WriteLine("ScriptDom: {0} statements as SQL Server 2016 and 2019 read them: {1}", statements.Count,
            surprises > 0 ? surprises + " are not as they must be" : wrong ? "all refused" : "all taken");
        return surprises == 0 && statements.Count > 0 ? 0 : 1;
    }

    static int Both(bool wrong, List<string[]> statements)
    {
        var findings = new List<string>();
        var year2016 = new Thread(() => All("SQL Server 2016", new TSql130Parser(true), wrong, statements, findings));
        year2016.Start();
        All("SQL Server 2019", new TSql150Parser(true), wrong, statements, findings);
        year2016.Join();
        foreach (string finding in findings) Console.WriteLine(finding);
        return findings.Count;
    }

    static void All(string grammar, TSqlParser parser, bool wrong, List<string[]> statements, List<string> findings)
    {
        foreach (string[] named in statements) {
            IList<ParseError> errors;
            string sql = Plain(named[1]);
            parser.Parse(new StringReader(sql), out errors);
            if (errors.Count > 0 == wrong) continue;
            string finding = wrong ? string.Format("TAKEN by {0}: {1}", grammar, named[0])
                : string.Format("REFUSED by {0}: {1}, line {2}, column {3}: {4}\n{5}", grammar, named[0],
                    errors[0].Line, errors[0].Column, errors[0].Message, sql);
            lock (findings) findings.Add(finding);
        }
    }

    static string Plain(string text)
    {
        var plain = new StringBuilder(text.Length);
        for (int at = 0; at < text.Length; at++) {
            if (text[at] != '\\') { plain.Append(text[at]); continue; }
            char letter = text[++at];
            plain.Append(letter == 'n' ? '\n' : letter == 't' ? '\t' : letter);
        }
        return plain.ToString();
    }
}
