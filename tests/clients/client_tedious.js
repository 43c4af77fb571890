// tedious: the protocol written anew in JavaScript. Its numbers are JavaScript's, so decimals and money are doubles;
// its moments are Dates, so an offset is read as UTC. The steps are those of steps.py, what is expected the same file.
"use strict";
const fs = require("fs");
const path = require("path");
const { Connection, Request, TYPES } = require("tedious");

const EXPECTED = JSON.parse(fs.readFileSync(path.join(__dirname, "expected.json"), "utf8"));
const NAME = "tedious";
const env = process.env;
const columns = EXPECTED.types.map((one, at) =>
  `c${at} ${one.type}${one.collation ? ` COLLATE ${one.collation}` : ""} NULL`).join(", ");
const ofSchema = (text, id) =>
  text.replaceAll("{schema}", `of_${NAME}`).replace("{columns}", columns).replaceAll("{id}", id);
let failed = 0;

const TOO_LONG = "its numbers have 15 digits";
const CANNOT_INSERT = {
  "1234567890123456.0000000000000001": TOO_LONG,
  "99999999999999999999999999999999999999": TOO_LONG,
  "-0.00000000000000000000000000000000000001": TOO_LONG,
  "-922337203685477.5808": TOO_LONG,
};
const CANNOT_LOAD = { "9999999999999999.9999999999999999": TOO_LONG };

function say(step, outcome) {
  console.log(`${NAME} ${step} ${outcome}`);
}

async function check(step, expected, act) {
  let got;
  try {
    got = await act();
  } catch (error) {
    got = String(error.message || error);
  }
  const [want, have] = [JSON.stringify(expected), JSON.stringify(got)];
  if (want === have) return say(step, "ok");
  failed += 1;
  say(step, `FAILED expected ${want.slice(0, 400)} got ${String(have).slice(0, 400)}`);
}

function connect(password, certificate) {
  const connection = new Connection({
    server: env.CLIENT_HOST,
    authentication: { type: "default", options: { userName: env.CLIENT_USER, password } },
    options: {
      port: Number(env.CLIENT_PORT),
      database: "Channel",
      encrypt: true,
      trustServerCertificate: false,
      cryptoCredentialsDetails: { ca: fs.readFileSync(certificate) },
      rowCollectionOnRequestCompletion: true,
    },
  });
  return new Promise((resolve, reject) => {
    let number;
    connection.on("errorMessage", (message) => (number ??= message.number));
    connection.on("connect", (error) => {
      if (!error) return resolve(connection);
      reject(Object.assign(error, { number }));
    });
    connection.connect();
  });
}

/** Rows of plain values; `batch` sends the text as it is, otherwise it goes through sp_executesql. */
function run(connection, sql, parameters = [], batch = false) {
  return new Promise((resolve, reject) => {
    const request = new Request(sql, (error, _count, rows) =>
      error ? reject(error) : resolve((rows || []).map((row) => row.map((cell) => cell.value))));
    for (const { name, type, value, options } of parameters) request.addParameter(name, type, value, options);
    batch ? connection.execSqlBatch(request) : connection.execSql(request);
  });
}

const transact = (connection, what) =>
  new Promise((resolve, reject) =>
    connection[`${what}Transaction`]((error) => (error ? reject(error) : resolve())));

const isMoment = (kind) => ["date", "time", "datetime", "datetimeoffset"].includes(kind);

/** A client's value in the writing of expected.json, as far as JavaScript's values go. */
function canonical(kind, value) {
  if (value === null) return null;
  if (kind === "bool") return value ? "1" : "0";
  if (kind === "decimal" || kind === "float") return String(Number(value));
  if (kind === "bytes") return value.toString("hex").toUpperCase();
  return isMoment(kind) ? moment(kind, value) : String(value);
}

function moment(kind, value) {
  const micros = Math.round(value.getUTCMilliseconds() * 1e3 + (value.nanosecondsDelta || 0) * 1e6);
  const fraction = String(micros).padStart(6, "0").replace(/0+$/, "");
  const [day, time] = value.toISOString().slice(0, 19).split("T");
  const whole = fraction ? `${time}.${fraction}` : time;
  return kind === "date" ? day : kind === "time" ? whole : `${day}T${whole}`;
}

/** What of an expected text this client shows. */
function expected(kind, text) {
  return text === null ? null : canonical(kind, javaScriptValue(kind, text));
}

function javaScriptValue(kind, text) {
  if (text === null) return null;
  if (kind === "bool") return text === "1";
  if (kind === "decimal" || kind === "float") return Number(text);
  if (kind === "bytes") return Buffer.from(text, "hex");
  if (!isMoment(kind)) return text;
  const whole = kind === "date" ? `${text}T00:00:00` : kind === "time" ? `1970-01-01T${text}` : text;
  const [, day, fraction = "", offset = "Z"] = /^(.{19})(?:\.(\d+))?(.\d\d:\d\d)?$/.exec(whole);
  const micros = fraction.padEnd(6, "0");
  const value = new Date(`${day}.${micros.slice(0, 3)}${offset}`);
  value.nanosecondsDelta = value.nanosecondDelta = Number(micros.slice(3)) / 1e6;
  return value;
}

/** tedious's type for a declaration, with its options. */
function typeOf(declaration) {
  const [, name, numbers] = /^(\w+)(?:\((.*)\))?$/.exec(declaration);
  const [first, second] = (numbers || "").split(",").map(Number);
  const like = { text: "varchar", ntext: "nvarchar", xml: "nvarchar", smallmoney: "smallmoney", image: "varbinary" };
  const wanted = like[name] || name;
  const key = Object.keys(TYPES).find((key) => key.toLowerCase() === wanted);
  const options = { decimal: { precision: first, scale: second }, numeric: { precision: first, scale: second } };
  const scaled = ["time", "datetime2", "datetimeoffset"].includes(name) ? { scale: first } : {};
  const sized = ["char", "nchar", "varchar", "nvarchar", "binary", "varbinary"].includes(name) && first
    ? { length: first } : {};
  return { type: TYPES[key], options: { ...options[name], ...scaled, ...sized } };
}

const query = async (connection, kinds, sql, parameters) =>
  (await run(connection, sql, parameters)).map((row) => row.map((cell, at) => canonical(kinds[at], cell)));

async function logins() {
  const untrusted = () => connect(env.CLIENT_PASSWORD, env.CLIENT_OTHER_CERTIFICATE).then(() => "accepted", () => "refused");
  const wrong = () => connect("not the password", env.CLIENT_CERTIFICATE).catch((error) => error.number);
  let connection;
  await check("certificate of another", "refused", untrusted);
  await check("login over TLS", [[env.CLIENT_USER, "Channel"]], async () => {
    connection = await connect(env.CLIENT_PASSWORD, env.CLIENT_CERTIFICATE);
    return query(connection, ["text", "text"], "SELECT SUSER_SNAME() AS u, DB_NAME() AS d");
  });
  await check("wrong password", 18456, wrong);
  return connection;
}

async function types(connection) {
  for (const one of EXPECTED.types) {
    const sql = `SELECT CAST(${one.literal} AS ${one.type}) AS v, CAST(NULL AS ${one.type}) AS n`;
    const want = [[expected(one.kind, one.text), null]];
    await check(`select ${one.type}`, want, () => query(connection, [one.kind, one.kind], sql));
  }
  for (const [at, one] of EXPECTED.types.entries()) {
    const step = `insert ${one.type}`;
    if (CANNOT_INSERT[one.text]) say(step, `left out: ${CANNOT_INSERT[one.text]}`);
    else await check(step, [[expected(one.kind, one.text)]], () => insert(connection, at, one));
  }
  await check("insert NULL", [["2", null]], async () => {
    const into = ofSchema("INSERT INTO {schema}.sale (id, note) VALUES (@id, @note)");
    await run(connection, into, [{ name: "id", type: TYPES.Int, value: 2 }, { name: "note", type: TYPES.NVarChar, value: null }]);
    return query(connection, ["int", "text"], ofSchema("SELECT id, note FROM {schema}.sale WHERE note IS NULL"));
  });
}

async function insert(connection, at, one) {
  // As varchar it would send the bytes of the connection's code page.
  const value = { name: "v", ...typeOf(one.collation ? `n${one.type}` : one.type), value: javaScriptValue(one.kind, one.text) };
  await run(connection, ofSchema(`INSERT INTO {schema}.one_of_each (id, c${at}) VALUES (${at}, @v)`), [value]);
  return query(connection, [one.kind], ofSchema(`SELECT c${at} FROM {schema}.one_of_each WHERE id = ${at}`));
}

/** tedious writes the declarations itself, from the parameters. */
function output(connection, statement, once) {
  return new Promise((resolve, reject) => {
    let returned;
    const request = new Request(statement, (error) => (error ? reject(error) : resolve(returned)));
    request.addParameter("once", TYPES.Int, once);
    request.addOutputParameter("twice", TYPES.BigInt);
    request.on("returnValue", (name, value) => (returned = String(value)));
    connection.execSql(request);
  });
}

async function bulk(connection) {
  const { kinds, numbered } = EXPECTED.bulk;
  let texts = EXPECTED.bulk.rows;
  for (const [text, reason] of Object.entries(CANNOT_LOAD)) {
    say(`bulk load of ${text}`, `left out: ${reason}`);
    texts = texts.filter((row) => !row.includes(text));
  }
  texts = texts.concat(Array.from({ length: numbered }, (_, n) => [String(n + 1), `row ${n + 1}`, String(((n + 1) % 9) + 1), null, "A"]));
  const table = ofSchema("{schema}.loaded");
  await check(`bulk load of ${texts.length} rows`, "", async () => {
    await load(connection, table, texts.map((row) => row.map((text, at) =>
      kinds[at] === "int" ? Number(text) : javaScriptValue(kinds[at], text))));
    const found = await query(connection, kinds, `SELECT id, name, amount, at, code FROM ${table} ORDER BY id`);
    const wanted = texts.map((row) => row.map((text, at) => expected(kinds[at], text)));
    wanted.sort((one, other) => one[0] - other[0]);
    const at = wanted.findIndex((row, at) => JSON.stringify(row) !== JSON.stringify(found[at]));
    return at < 0 ? "" : `expected ${wanted[at]} got ${found[at]}`;
  });
}

function load(connection, table, rows) {
  return new Promise((resolve, reject) => {
    const bulk = connection.newBulkLoad(table, { keepNulls: true }, (error) => (error ? reject(error) : resolve()));
    bulk.addColumn("id", TYPES.Int, { nullable: false });
    bulk.addColumn("name", TYPES.NVarChar, { length: 40, nullable: true });
    bulk.addColumn("amount", TYPES.Decimal, { precision: 32, scale: 16, nullable: true });
    bulk.addColumn("at", TYPES.DateTime, { nullable: true });
    bulk.addColumn("code", TYPES.VarChar, { length: 20, nullable: true });
    connection.execBulkLoad(bulk, rows);
  });
}

async function transaction(connection, id, end) {
  const [change, count] = [EXPECTED.transaction.change, EXPECTED.transaction.count].map((sql) => ofSchema(sql, id));
  await transact(connection, "begin");
  await run(connection, change);
  const inside = await query(connection, ["int"], count);
  await transact(connection, end);
  const other = await connect(env.CLIENT_PASSWORD, env.CLIENT_CERTIFICATE);
  const outside = await query(other, ["int"], count);
  other.close();
  return [inside, outside];
}

async function steps() {
  const connection = await logins();
  if (!connection) return process.exit(1);
  await check("definitions", [["1", "first"]], async () => {
    for (const sql of EXPECTED.ddl) await run(connection, ofSchema(sql), [], true);
    return query(connection, ["int", "text"], ofSchema("SELECT id, note FROM {schema}.sale"));
  });
  await types(connection);
  const { statement, once, twice } = EXPECTED.output;
  await check("output parameter", twice, () => output(connection, statement, once));
  await bulk(connection);
  for (const { number, sql } of EXPECTED.errors)
    await check(`error ${number}`, number, () => run(connection, ofSchema(sql)).catch((error) => error.number));
  await check("after the errors", [["2"]], () => query(connection, ["int"], ofSchema("SELECT COUNT(*) AS n FROM {schema}.sale")));
  await check("transaction, rollback", [[["1"]], [["0"]]], () => transaction(connection, 10, "rollback"));
  await check("transaction, commit", [[["1"]], [["1"]]], () => transaction(connection, 11, "commit"));
  connection.close();
  process.exit(failed ? 1 : 0);
}

steps();
