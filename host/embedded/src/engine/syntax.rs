//! The T-SQL that the embedded channel knows, as a tree. What has no place here is refused by the parser.

mod module;

use std::sync::Arc;
use tillhold_core::types::SqlType;

pub use module::{CreateProcedure, CreateTrigger, Declared, Events, Making};

#[derive(Debug)]
pub struct Batch {
    pub text: Arc<str>,
    pub statements: Vec<Statement>,
}

#[derive(Debug)]
pub struct Statement {
    /// Unique in the program's life: the key under which its translation is remembered.
    pub id: u64,
    pub line: u32,
    /// Its place in the batch's text.
    pub place: std::ops::Range<usize>,
    pub kind: StatementKind,
}

impl Statement {
    /// Whether it, or a statement within it that is no mere control flow, holds this in its own text.
    pub fn says(&self, text: &str, wanted: &str) -> bool {
        let any = |all: &[Statement]| all.iter().any(|one| one.says(text, wanted));
        match &self.kind {
            StatementKind::Block(body) => any(body),
            StatementKind::Try { body, catch } => any(body) || any(catch),
            StatementKind::While { body, .. } => body.says(text, wanted),
            StatementKind::If { then, otherwise, .. } => {
                then.says(text, wanted)
                    || otherwise.as_ref().is_some_and(|other| other.says(text, wanted))
            }
            _ => text.get(self.place.clone()).is_some_and(|own| contains(own, wanted)),
        }
    }
}

#[derive(Debug)]
pub enum StatementKind {
    Declare(Vec<Declaration>),
    SetVariable {
        name: String,
        operator: Option<BinaryOperator>,
        value: Expr,
    },
    SetOption(SetOption),
    If {
        condition: Expr,
        then: Box<Statement>,
        otherwise: Option<Box<Statement>>,
    },
    While {
        condition: Expr,
        body: Box<Statement>,
    },
    Break,
    Continue,
    Block(Vec<Statement>),
    Try {
        body: Vec<Statement>,
        catch: Vec<Statement>,
    },
    Throw(Option<[Expr; 3]>),
    RaiseError {
        message: Expr,
        severity: Expr,
        state: Expr,
    },
    Return(Option<Expr>),
    Print(Expr),
    WaitDelay(Expr),
    Use(String),
    Begin,
    Commit,
    Rollback {
        savepoint: Option<String>,
    },
    Save {
        savepoint: String,
    },
    Execute(Execute),
    ExecuteText(Expr),
    Query(Query),
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    Truncate(ObjectName),
    CreateTable(CreateTable),
    DropTable {
        names: Vec<ObjectName>,
        if_exists: bool,
    },
    CreateIndex(CreateIndex),
    DropIndex {
        index: String,
        table: ObjectName,
        if_exists: bool,
    },
    CreateTrigger(CreateTrigger),
    DropTrigger {
        names: Vec<ObjectName>,
        if_exists: bool,
    },
    CreateProcedure(Arc<CreateProcedure>),
    DropProcedure {
        names: Vec<ObjectName>,
        if_exists: bool,
    },
    /// `None` is the word ALL.
    SwitchTrigger {
        trigger: Option<String>,
        table: ObjectName,
        on: bool,
    },
    CreateSchema {
        name: String,
    },
    AlterTable {
        table: ObjectName,
        change: TableChange,
    },
    AlterDatabase {
        database: Option<String>,
        change: DatabaseChange,
    },
    CreateLogin {
        name: String,
        password: String,
    },
    CreateUser {
        name: String,
    },
    CreateRole {
        name: String,
    },
    AddMember {
        role: String,
        member: String,
    },
    Permission(Permission),
}

/// T-SQL's words may be written in any case.
pub fn contains(text: &str, wanted: &str) -> bool {
    text.to_lowercase().contains(&wanted.to_lowercase())
}

#[derive(Debug)]
pub struct Declaration {
    pub name: String,
    pub of: SqlType,
    pub value: Option<Expr>,
}

#[derive(Clone, Debug)]
pub enum SetOption {
    NoCount(bool),
    XactAbort(bool),
    LockTimeout(i64),
    Isolation(Level),
    IdentityInsert {
        table: ObjectName,
        on: bool,
    },
    FormatOnly(bool),
    ImplicitTransactions(bool),
    /// An option whose present setting is the only one that the embedded channel has.
    Accepted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
    Snapshot,
}

/// `server.database.schema.name`, only what was written; the last part is the object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectName {
    pub database: Option<String>,
    pub schema: Option<String>,
    pub name: String,
}

impl ObjectName {
    pub fn is_temporary(&self) -> bool {
        self.name.starts_with('#')
    }
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[derive(Debug)]
pub struct Execute {
    pub into: Option<String>,
    pub name: ObjectName,
    pub arguments: Vec<Argument>,
}

#[derive(Debug)]
pub struct Argument {
    pub name: Option<String>,
    pub value: Expr,
    pub output: bool,
}

#[derive(Debug)]
pub struct Query {
    pub ctes: Vec<Cte>,
    pub body: Body,
    pub order: Vec<Order>,
    pub offset: Option<Expr>,
    pub fetch: Option<Expr>,
}

#[derive(Debug)]
pub struct Cte {
    pub name: String,
    pub columns: Vec<String>,
    pub query: Query,
}

#[derive(Debug)]
pub enum Body {
    Select(Box<Select>),
    Union { all: bool, left: Box<Body>, right: Box<Body> },
    Except { left: Box<Body>, right: Box<Body> },
    Intersect { left: Box<Body>, right: Box<Body> },
}

#[derive(Debug)]
pub struct Select {
    pub distinct: bool,
    pub top: Option<Expr>,
    pub items: Vec<Item>,
    pub into: Option<ObjectName>,
    pub from: Vec<Source>,
    pub filter: Option<Expr>,
    pub group: Vec<Expr>,
    pub having: Option<Expr>,
}

#[derive(Debug)]
pub enum Item {
    All,
    AllOf(String),
    Value { value: Expr, alias: Option<String> },
    Assign { variable: String, operator: Option<BinaryOperator>, value: Expr },
}

#[derive(Debug)]
pub struct Order {
    pub value: Expr,
    pub descending: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    /// UPDLOCK, XLOCK, HOLDLOCK, SERIALIZABLE, REPEATABLEREAD: the rows stay as read until the transaction ends.
    pub locks: bool,
}

#[derive(Debug)]
pub enum Source {
    Table { name: ObjectName, alias: Option<String>, hints: Hints },
    Derived { query: Query, alias: String, columns: Vec<String> },
    Rows { rows: Vec<Vec<Expr>>, alias: String, columns: Vec<String> },
    Join { kind: JoinKind, left: Box<Source>, right: Box<Source>, on: Option<Expr> },
    Changes { table: ObjectName, since: Expr, alias: String },
    Version { table: ObjectName, keys: Vec<String>, values: Vec<Expr>, alias: String },
    OpenJson { json: Expr, path: Option<String>, columns: Vec<JsonColumn>, alias: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    Cross,
    CrossApply,
    OuterApply,
}

#[derive(Debug)]
pub struct JsonColumn {
    pub name: String,
    pub of: SqlType,
    pub path: Option<String>,
    pub as_json: bool,
}

#[derive(Debug)]
pub struct Insert {
    pub context: Option<Expr>,
    pub top: Option<Expr>,
    pub table: ObjectName,
    pub columns: Vec<String>,
    pub output: Option<Output>,
    pub rows: InsertRows,
}

#[derive(Debug)]
pub enum InsertRows {
    /// `None` is the word DEFAULT.
    Values(Vec<Vec<Option<Expr>>>),
    Query(Box<Query>),
    Defaults,
}

#[derive(Debug)]
pub struct Output {
    pub items: Vec<Item>,
    pub into: Option<(ObjectName, Vec<String>)>,
}

#[derive(Debug)]
pub struct Update {
    pub context: Option<Expr>,
    pub top: Option<Expr>,
    /// The table, or an alias of the FROM clause.
    pub target: ObjectName,
    pub assignments: Vec<Assignment>,
    pub output: Option<Output>,
    pub from: Vec<Source>,
    pub filter: Option<Expr>,
}

#[derive(Debug)]
pub struct Assignment {
    pub column: String,
    pub operator: Option<BinaryOperator>,
    /// `None` is the word DEFAULT.
    pub value: Option<Expr>,
}

#[derive(Debug)]
pub struct Delete {
    pub context: Option<Expr>,
    pub top: Option<Expr>,
    pub target: ObjectName,
    pub output: Option<Output>,
    pub from: Vec<Source>,
    pub filter: Option<Expr>,
}

#[derive(Debug)]
pub struct CreateTable {
    pub name: ObjectName,
    pub columns: Vec<ColumnDefinition>,
    pub constraints: Vec<Constraint>,
}

#[derive(Clone, Debug)]
pub struct ColumnDefinition {
    pub name: String,
    pub of: SqlType,
    pub collation: Option<String>,
    pub nullable: Option<bool>,
    pub identity: Option<(i64, i64)>,
    pub default: Option<DefaultDefinition>,
    /// `AS …`: its type follows from the expression.
    pub computed: Option<ComputedDefinition>,
}

#[derive(Clone, Debug)]
pub struct ComputedDefinition {
    pub text: String,
    pub value: Arc<Expr>,
    pub persisted: bool,
}

#[derive(Clone, Debug)]
pub struct DefaultDefinition {
    pub name: Option<String>,
    /// As `sys.default_constraints` shows it: within parentheses.
    pub text: String,
    pub value: Arc<Expr>,
}

#[derive(Clone, Debug)]
pub struct Constraint {
    pub name: Option<String>,
    pub kind: ConstraintKind,
}

#[derive(Clone, Debug)]
pub enum ConstraintKind {
    Primary {
        clustered: bool,
        columns: Vec<(String, bool)>,
    },
    Unique {
        clustered: bool,
        columns: Vec<(String, bool)>,
    },
    Foreign {
        columns: Vec<String>,
        table: ObjectName,
        to: Vec<String>,
        cascade: bool,
    },
    /// With the column that it was declared with.
    Check {
        column: Option<String>,
        text: String,
        condition: Arc<Expr>,
    },
}

#[derive(Debug)]
pub struct CreateIndex {
    pub name: String,
    pub table: ObjectName,
    pub unique: bool,
    pub clustered: bool,
    pub columns: Vec<(String, bool)>,
}

#[derive(Debug)]
pub enum TableChange {
    EnableTracking { columns: bool },
    DisableTracking,
    AddColumns(Vec<ColumnDefinition>, Vec<Constraint>),
    DropColumn(String),
    AlterColumn(ColumnDefinition),
}

#[derive(Debug)]
pub enum DatabaseChange {
    TrackingOn {
        retention_minutes: Option<i64>,
        auto_cleanup: Option<bool>,
    },
    TrackingOff,
    SnapshotIsolation(bool),
    ReadOnly(bool),
    Compatibility(i64),
    /// An option whose present setting is the only one that the embedded channel has.
    Accepted,
}

#[derive(Debug)]
pub struct Permission {
    pub grant: bool,
    /// `SELECT`, `VIEW CHANGE TRACKING`, in capitals.
    pub rights: Vec<String>,
    pub on: Securable,
    pub to: Vec<String>,
}

#[derive(Debug)]
pub enum Securable {
    Database,
    Schema(String),
    /// With the columns that a right is limited to; none for the whole table.
    Object(ObjectName, Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOperator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    BitAnd,
    BitOr,
    BitXor,
    And,
    Or,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOperator {
    Minus,
    Plus,
    Not,
    BitNot,
}

#[derive(Debug)]
pub enum Expr {
    Null,
    Number(String),
    Text {
        text: String,
        national: bool,
    },
    Hex(Vec<u8>),
    Variable(String),
    /// One to four name parts; the last is the column.
    Column(Vec<String>),
    Unary(UnaryOperator, Box<Expr>),
    Binary(BinaryOperator, Box<Expr>, Box<Expr>),
    IsNull {
        value: Box<Expr>,
        negated: bool,
    },
    Between {
        value: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        negated: bool,
    },
    InList {
        value: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    InQuery {
        value: Box<Expr>,
        query: Box<Query>,
        negated: bool,
    },
    Like {
        value: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<Box<Expr>>,
        negated: bool,
    },
    Exists(Box<Query>),
    Case {
        operand: Option<Box<Expr>>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Call(Call),
    Cast {
        value: Box<Expr>,
        of: SqlType,
        style: Option<Box<Expr>>,
        attempt: bool,
    },
    Query(Box<Query>),
    Collate {
        value: Box<Expr>,
        collation: String,
    },
}

#[derive(Debug)]
pub struct Call {
    /// In capitals.
    pub name: String,
    pub arguments: Vec<Expr>,
    /// `COUNT(*)`
    pub star: bool,
    pub distinct: bool,
    pub over: Option<Over>,
}

#[derive(Debug)]
pub struct Over {
    pub partition: Vec<Expr>,
    pub order: Vec<Order>,
}
