//! SQL Server's error messages, with its numbers: the one place where their texts stand.

use crate::answer::SqlError;

fn error(number: u32, message: String) -> SqlError {
    SqlError::new(number, message)
}

pub fn syntax(near: &str) -> SqlError {
    error(102, format!("Incorrect syntax near '{near}'.")).with_severity(15)
}

/// Something that SQL Server has and the embedded channel has not: said in words, never guessed.
pub fn unsupported(what: &str) -> SqlError {
    error(
        102,
        format!("Incorrect syntax near '{what}': the embedded channel does not implement it."),
    )
    .with_severity(15)
}

pub fn unknown_function(name: &str) -> SqlError {
    error(195, format!("'{name}' is not a recognized built-in function name.")).with_severity(15)
}

pub fn argument_count(name: &str, count: &str) -> SqlError {
    error(174, format!("The {} function requires {count} argument(s).", name.to_lowercase()))
        .with_severity(15)
}

pub fn argument_type(of: &str, at: u32, function: &str) -> SqlError {
    error(
        8116,
        format!("Argument data type {of} is invalid for argument {at} of {function} function."),
    )
}

pub fn undeclared(name: &str) -> SqlError {
    error(137, format!("Must declare the scalar variable \"{name}\".")).with_severity(15)
}

pub fn declared_twice(name: &str) -> SqlError {
    error(
        134,
        format!(
            "The variable name '{name}' has already been declared. Variable names must be unique within a query \
             batch or stored procedure."
        ),
    )
    .with_severity(15)
}

pub fn unknown_type(name: &str) -> SqlError {
    error(2715, format!("Column, parameter, or variable: Cannot find data type {name}."))
}

pub fn unknown_object(name: &str) -> SqlError {
    error(208, format!("Invalid object name '{name}'."))
}

pub fn unknown_column(name: &str) -> SqlError {
    error(207, format!("Invalid column name '{name}'."))
}

pub fn ambiguous_column(name: &str) -> SqlError {
    error(209, format!("Ambiguous column name '{name}'."))
}

pub fn unbound_identifier(name: &str) -> SqlError {
    error(4104, format!("The multi-part identifier \"{name}\" could not be bound."))
}

pub fn unknown_prefix(name: &str) -> SqlError {
    error(
        107,
        format!("The column prefix '{name}' does not match with a table name or alias name used in the query."),
    )
    .with_severity(15)
}

pub fn not_boolean(near: &str) -> SqlError {
    error(
        4145,
        format!(
            "An expression of non-boolean type specified in a context where a condition is expected, near '{near}'."
        ),
    )
    .with_severity(15)
}

pub fn conversion(text: &str, from: &str, to: &str) -> SqlError {
    error(
        245,
        format!("Conversion failed when converting the {from} value '{text}' to data type {to}."),
    )
}

pub fn moment_conversion() -> SqlError {
    error(
        241,
        "Conversion failed when converting date and/or time from character string.".to_string(),
    )
}

pub fn beyond_moments(from: &str, to: &str) -> SqlError {
    error(
        242,
        format!(
            "The conversion of a {from} data type to a {to} data type resulted in an out-of-range value."
        ),
    )
}

pub fn guid_conversion() -> SqlError {
    error(
        8169,
        "Conversion failed when converting from a character string to uniqueidentifier."
            .to_string(),
    )
}

pub fn type_conversion(from: &str, to: &str) -> SqlError {
    error(8114, format!("Error converting data type {from} to {to}."))
}

pub fn no_implicit_conversion(from: &str, to: &str) -> SqlError {
    error(
        257,
        format!(
            "Implicit conversion from data type {from} to {to} is not allowed. Use the CONVERT function to run this \
             query."
        ),
    )
}

pub fn operand_clash(left: &str, right: &str) -> SqlError {
    error(206, format!("Operand type clash: {left} is incompatible with {right}"))
}

pub fn operand_types(left: &str, right: &str, operator: &str) -> SqlError {
    error(
        402,
        format!("The data types {left} and {right} are incompatible in the {operator} operator."),
    )
}

pub fn no_explicit_conversion(from: &str, to: &str) -> SqlError {
    error(529, format!("Explicit conversion from data type {from} to {to} is not allowed."))
}

pub fn overflow(to: &str) -> SqlError {
    error(8115, format!("Arithmetic overflow error converting expression to data type {to}."))
}

pub fn overflow_from(from: &str, to: &str) -> SqlError {
    error(8115, format!("Arithmetic overflow error converting {from} to data type {to}."))
}

pub fn divided_by_zero() -> SqlError {
    error(8134, "Divide by zero error encountered.".to_string())
}

pub fn truncated(table: &str, column: &str, text: &str) -> SqlError {
    let start: String = text.chars().take(100).collect();
    error(
        2628,
        format!(
            "String or binary data would be truncated in table '{table}', column '{column}'. Truncated value: '{start}'."
        ),
    )
}

pub fn null_refused(table: &str, column: &str, verb: &str) -> SqlError {
    error(
        515,
        format!(
            "Cannot insert the value NULL into column '{column}', table '{table}'; column does not allow nulls. \
             {verb} fails."
        ),
    )
}

pub fn duplicate_constraint(kind: &str, constraint: &str, table: &str) -> SqlError {
    error(
        2627,
        format!(
            "Violation of {kind} constraint '{constraint}'. Cannot insert duplicate key in object '{table}'."
        ),
    )
    .with_severity(14)
}

pub fn duplicate_index(index: &str, table: &str) -> SqlError {
    error(
        2601,
        format!("Cannot insert duplicate key row in object '{table}' with unique index '{index}'."),
    )
    .with_severity(14)
}

pub fn foreign_key(verb: &str, table: &str) -> SqlError {
    error(
        547,
        format!(
            "The {verb} statement conflicted with a FOREIGN KEY or REFERENCE constraint of table '{table}'."
        ),
    )
}

pub fn object_exists(name: &str) -> SqlError {
    error(2714, format!("There is already an object named '{name}' in the database."))
}

pub fn no_such_object(verb: &str, name: &str) -> SqlError {
    error(
        3701,
        format!("Cannot {verb} the table '{name}', because it does not exist or you do not have permission."),
    )
    .with_severity(11)
}

pub fn no_trigger(verb: &str, name: &str) -> SqlError {
    error(
        3701,
        format!("Cannot {verb} the trigger '{name}', because it does not exist or you do not have permission."),
    )
    .with_severity(11)
}

pub fn no_procedure(verb: &str, name: &str) -> SqlError {
    error(
        3701,
        format!("Cannot {verb} the procedure '{name}', because it does not exist or you do not have permission."),
    )
    .with_severity(11)
}

pub fn no_transaction(verb: &str) -> SqlError {
    let number = if verb == "COMMIT" { 3902 } else { 3903 };
    error(number, format!("The {verb} TRANSACTION request has no corresponding BEGIN TRANSACTION."))
}

pub fn no_savepoint(name: &str) -> SqlError {
    error(
        6401,
        format!("Cannot roll back {name}. No transaction or savepoint of that name was found."),
    )
}

pub fn doomed() -> SqlError {
    error(
        3930,
        "The current transaction cannot be committed and cannot support operations that write to the log file. Roll \
         back the transaction."
            .to_string(),
    )
}

pub fn doomed_at_the_end() -> SqlError {
    error(
        3998,
        "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back.".to_string(),
    )
}

/// A trigger's body rolled back the transaction that fired it.
pub fn ended_in_trigger() -> SqlError {
    error(3609, "The transaction ended in the trigger. The batch has been aborted.".to_string())
}

/// A trigger's body caught its own error: the transaction is lost all the same.
pub fn failed_in_trigger() -> SqlError {
    error(
        3616,
        "An error was raised during trigger execution. The batch has been aborted and the user transaction, if any, has \
         been rolled back."
            .to_string(),
    )
}

pub fn nested_too_deeply() -> SqlError {
    error(
        217,
        "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32)."
            .to_string(),
    )
}

pub fn unbalanced(before: u32, after: u32) -> SqlError {
    error(
        266,
        format!(
            "Transaction count after EXECUTE indicates a mismatching number of BEGIN and COMMIT statements. Previous \
             count = {before}, current count = {after}."
        ),
    )
}

pub fn deadlock(session: u32) -> SqlError {
    let message = format!(
        "Transaction (Process ID {session}) was deadlocked on lock resources with another process and has been chosen \
         as the deadlock victim. Rerun the transaction."
    );
    SqlError { state: 45, severity: 13, ..error(1205, message) }
}

pub fn lock_timeout() -> SqlError {
    error(1222, "Lock request time out period exceeded.".to_string())
}

pub fn snapshot_conflict(table: &str, database: &str) -> SqlError {
    error(
        3960,
        format!(
            "Snapshot isolation transaction aborted due to update conflict. You cannot use snapshot isolation to access \
             table '{table}' directly or indirectly in database '{database}' to update, delete, or insert the row that \
             has been modified or deleted by another transaction. Retry the transaction or change the isolation level \
             for the update/delete statement."
        ),
    )
}

pub fn read_only(database: &str) -> SqlError {
    let message =
        format!("Failed to update database \"{database}\" because the database is read-only.");
    error(3906, message)
}

pub fn snapshot_not_allowed(database: &str) -> SqlError {
    error(
        3952,
        format!(
            "Snapshot isolation transaction failed accessing database '{database}' because snapshot isolation is not \
             allowed in this database. Use ALTER DATABASE to allow snapshot isolation."
        ),
    )
}

pub fn changed_under_snapshot(database: &str) -> SqlError {
    error(
        3961,
        format!(
            "Snapshot isolation transaction failed in database '{database}' because the object accessed by the \
             statement has been modified by a DDL statement in another concurrent transaction since the start of this \
             transaction."
        ),
    )
}

pub fn permission_denied(right: &str, object: &str, database: &str, schema: &str) -> SqlError {
    error(
        229,
        format!(
            "The {right} permission was denied on the object '{object}', database '{database}', schema '{schema}'."
        ),
    )
    .with_severity(14)
}

pub fn no_permission() -> SqlError {
    error(15247, "User does not have permission to perform this action.".to_string())
}

pub fn unknown_procedure(name: &str) -> SqlError {
    error(2812, format!("Could not find stored procedure '{name}'."))
}

pub fn login_failed(user: &str) -> SqlError {
    error(18456, format!("Login failed for user '{user}'.")).with_severity(14)
}

pub fn unknown_database(name: &str, user: &str) -> SqlError {
    error(
        4060,
        format!("Cannot open database \"{name}\" requested by the login. The login failed. User '{user}'."),
    )
    .with_severity(11)
}

pub fn no_database(name: &str) -> SqlError {
    error(
        911,
        format!("Database '{name}' does not exist. Make sure that the name is entered correctly."),
    )
}

pub fn untracked(table: &str) -> SqlError {
    error(22105, format!("Change tracking is not enabled on table '{table}'."))
}

pub fn explicit_identity(table: &str) -> SqlError {
    error(
        544,
        format!(
            "Cannot insert explicit value for identity column in table '{table}' when IDENTITY_INSERT is set to OFF."
        ),
    )
}

pub fn assigned_column(column: &str) -> SqlError {
    error(8102, format!("Cannot update identity column '{column}'."))
}

pub fn computed_written(column: &str) -> SqlError {
    error(
        271,
        format!(
            "The column \"{column}\" cannot be modified because it is either a computed column or is the result of a UNION \
             operator."
        ),
    )
}

pub fn check(
    verb: &str,
    check: &str,
    database: &str,
    table: &str,
    column: Option<&str>,
) -> SqlError {
    let column = column.map_or(String::new(), |column| format!(", column '{column}'"));
    error(
        547,
        format!(
            "The {verb} statement conflicted with the CHECK constraint \"{check}\". The conflict occurred in database \
             \"{database}\", table \"{table}\"{column}."
        ),
    )
}

pub fn rowversion_written() -> SqlError {
    error(
        273,
        "Cannot insert an explicit value into a timestamp column. Use INSERT with a column list to exclude the \
         timestamp column, or insert a DEFAULT into the timestamp column."
            .to_string(),
    )
}

pub fn column_count(fewer: bool) -> SqlError {
    let (number, how) = if fewer { (109, "more columns") } else { (110, "fewer columns") };
    error(
        number,
        format!(
            "There are {how} in the INSERT statement than values specified in the VALUES clause. The number of values in \
             the VALUES clause must match the number of columns specified in the INSERT statement."
        ),
    )
    .with_severity(15)
}

pub fn select_list_count(fewer: bool) -> SqlError {
    let (number, how) = if fewer { (120, "fewer") } else { (121, "more") };
    error(
        number,
        format!(
            "The select list for the INSERT statement contains {how} items than the insert list."
        ),
    )
    .with_severity(15)
}

pub fn many_rows_in_subquery() -> SqlError {
    error(
        512,
        "Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= or \
         when the subquery is used as an expression."
            .to_string(),
    )
}

pub fn json(character: char, position: usize) -> SqlError {
    error(
        13609,
        format!(
            "JSON text is not properly formatted. Unexpected character '{character}' is found at position {position}."
        ),
    )
}

pub fn cancelled() -> SqlError {
    SqlError { severity: 11, ..error(0, "The request was cancelled by the client.".to_string()) }
}

/// A failure of SQLite or of its file below the engine: severe, and said as it is.
pub fn below(message: &str) -> SqlError {
    error(823, format!("The embedded channel's own storage failed: {message}")).with_severity(24)
}
