//! Errors on command, in SQL Server's own words where they are among those that keep a register out.
//!
//! Numbers, severities and texts: `sys.messages`, and Microsoft's list of the connection errors of Azure SQL Database.

use crate::answer::SqlError;

/// What a client meets at its login.
pub fn login(number: u32, user: &str, database: &str) -> SqlError {
    let (severity, message) = match number {
        18_456 => (14, format!("Login failed for user '{user}'.")),
        18_470 => (14, format!("Login failed for user '{user}'. Reason: The account is disabled.")),
        18_461 => (
            14,
            format!(
                "Login failed for user '{user}'. Reason: Server is in single user mode. Only one administrator can connect \
                 at this time."
            ),
        ),
        4_060 => (
            11,
            format!(
                "Cannot open database \"{database}\" requested by the login. The login failed."
            ),
        ),
        924 => (
            14,
            format!("Database '{database}' is already open and can only have one user at a time."),
        ),
        927 => (
            14,
            format!("Database '{database}' cannot be opened. It is in the middle of a restore."),
        ),
        40_613 => (
            17,
            format!(
                "Database '{database}' on server 'tillhold-channel' is not currently available. Please retry the connection \
                 later."
            ),
        ),
        _ => return request(number),
    };
    SqlError::new(number, message).with_severity(severity)
}

/// What a request meets.
pub fn request(number: u32) -> SqlError {
    let (severity, message) = match number {
        1_205 => (
            13,
            "Transaction was deadlocked and has been chosen as the deadlock victim. Rerun the transaction.",
        ),
        1_222 => (16, "Lock request time out period exceeded."),
        3_906 => (16, "Failed to update database \"Channel\" because the database is read-only."),
        8_645 => (
            17,
            "A timeout occurred while waiting for memory resources to execute the query in resource pool 'default' (2). Rerun \
             the query.",
        ),
        10_928 => {
            (20, "Resource ID : 1. The request limit for the database is 60 and has been reached.")
        }
        10_929 => (
            20,
            "Resource ID : 1. The request minimum guarantee is 0, maximum limit is 60 and the current usage for the database \
             is 60. However, the server is currently too busy to support requests greater than 0 for this database.",
        ),
        40_501 => (
            20,
            "The service is currently busy. Retry the request after 10 seconds. Incident ID: 0. Code: 0.",
        ),
        _ => return SqlError::new(number, format!("Error {number}, as ordered.")),
    };
    SqlError::new(number, message).with_severity(severity)
}
