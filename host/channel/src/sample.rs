//! Tables of the tests: some of the channel's own, shortened, and one with a column of every type.

use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;

/// `NAME type [null]` one a line; `key` names the primary key's columns.
pub(crate) fn table(name: &str, columns: &[&str], key: &[&str]) -> Table {
    let one = |text: &&str| {
        let mut words = text.split(' ');
        let (name, of) = (words.next().expect("a name"), words.next().expect("a type"));
        let rest: Vec<&str> = words.collect();
        let of = SqlType::parse(of).expect("a type of the test");
        let by_channel = of == SqlType::RowVersion || rest.contains(&"identity");
        let collation = rest.iter().find_map(|word| word.strip_prefix("collate:"));
        Column {
            name: name.to_string(),
            of,
            nullable: rest.contains(&"null"),
            assigned: if by_channel { Assigned::ByChannel } else { Assigned::ByWriter },
            default: None,
            collation: of
                .is_text()
                .then(|| collation.unwrap_or("SQL_Latin1_General_CP1_CI_AS").to_string()),
        }
    };
    let columns: Vec<Column> = columns.iter().map(one).collect();
    let at = |key: &&str| columns.iter().position(|c| c.name == *key).expect("a key column");
    let key = key.iter().map(at).collect();
    Table { name: TableName::parse(name).expect("a table name"), columns, key }
}

pub(crate) fn barcode() -> Table {
    table(
        "ax.INVENTITEMBARCODE",
        &[
            "RECID bigint",
            "BARCODESETUPID nvarchar(10)",
            "BLOCKED int",
            "DESCRIPTION nvarchar(60)",
            "INVENTDIMID nvarchar(20)",
            "ITEMBARCODE nvarchar(80)",
            "ITEMID nvarchar(20)",
            "QTY numeric(32,16)",
            "RETAILSHOWFORITEM int",
            "RETAILVARIANTID nvarchar(10)",
            "UNITID nvarchar(10)",
            "USEFORINPUT int",
            "USEFORPRINTING int",
            "DATAAREAID nvarchar(4)",
            "ROWVERSION timestamp",
        ],
        &["RECID"],
    )
}

pub(crate) fn seed() -> Table {
    table(
        "ax.RETAILPOSSEEDDATA",
        &[
            "DATATYPE int",
            "DATAVALUE bigint",
            "STORENUMBER nvarchar(10)",
            "TERMINALID nvarchar(10)",
            "DATAAREAID nvarchar(4)",
            "ROWVERSION timestamp",
        ],
        &["DATATYPE", "STORENUMBER", "TERMINALID", "DATAAREAID"],
    )
}

pub(crate) fn currency() -> Table {
    table(
        "ax.CURRENCY",
        &[
            "CURRENCYCODE nvarchar(3)",
            "TXT nvarchar(120)",
            "SYMBOL nvarchar(5)",
            "ROWVERSION timestamp",
        ],
        &["CURRENCYCODE"],
    )
}

pub(crate) fn tax() -> Table {
    table(
        "ax.TAXDATA",
        &[
            "RECID bigint",
            "TAXCODE nvarchar(10)",
            "TAXFROMDATE date",
            "TAXTODATE date",
            "TAXLIMITMIN numeric(32,16)",
            "TAXLIMITMAX numeric(32,16)",
            "TAXVALUE numeric(32,16)",
            "DATAAREAID nvarchar(4)",
            "ROWVERSION timestamp",
        ],
        &["TAXCODE", "TAXFROMDATE", "TAXTODATE", "TAXLIMITMIN", "RECID", "DATAAREAID"],
    )
}

pub(crate) fn payment() -> Table {
    table(
        "ax.RETAILTRANSACTIONPAYMENTTRANS",
        &[
            "AMOUNTCUR numeric(32,16)",
            "BUSINESSDATE date",
            "CHANNEL bigint",
            "LINENUM numeric(32,16)",
            "PAYMENTAUTHORIZATION nvarchar(max) null",
            "REPLICATIONCOUNTERFROMORIGIN int identity",
            "STORE nvarchar(10)",
            "TENDERTYPE nvarchar(10)",
            "TERMINAL nvarchar(10)",
            "TRANSACTIONID nvarchar(44)",
            "CREATEDDATETIME datetime",
            "DATAAREAID nvarchar(4)",
            "ROWVERSION timestamp",
        ],
        &["STORE", "TERMINAL", "TRANSACTIONID", "LINENUM", "CHANNEL", "DATAAREAID"],
    )
}

/// A column of every type that travels.
pub(crate) fn every_type() -> Table {
    table(
        "dbo.EVERYTYPE",
        &[
            "ID int",
            "CODE varchar(20) collate:Latin1_General_100_CI_AS_SC_UTF8",
            "MOMENT datetime",
            "A_BIT bit null",
            "A_TINYINT tinyint null",
            "A_SMALLINT smallint null",
            "A_BIGINT bigint null",
            "A_DECIMAL decimal(38,10) null",
            "A_MONEY money null",
            "A_SMALLMONEY smallmoney null",
            "A_FLOAT float null",
            "A_REAL real null",
            "A_DATE date null",
            "A_TIME time(3) null",
            "A_SMALLDATETIME smalldatetime null",
            "A_DATETIME2 datetime2(7) null",
            "AN_OFFSET datetimeoffset(7) null",
            "A_GUID uniqueidentifier null",
            "A_CHAR char(4) null",
            "AN_NCHAR nchar(4) null",
            "A_VARCHAR varchar(30) null",
            "A_VARCHAR_MAX varchar(max) null",
            "AN_NVARCHAR nvarchar(30) null",
            "AN_NVARCHAR_MAX nvarchar(max) null",
            "A_TEXT text null",
            "AN_NTEXT ntext null",
            "AN_XML xml null",
            "A_BINARY binary(4) null",
            "A_VARBINARY varbinary(30) null",
            "A_VARBINARY_MAX varbinary(max) null",
            "AN_IMAGE image null",
        ],
        &["ID", "CODE", "MOMENT"],
    )
}

/// The types that travel through a cast; a hierarchyid may be a key.
pub(crate) fn cast_types() -> Table {
    table(
        "dbo.CASTTYPES",
        &[
            "NODE hierarchyid",
            "PLACE geography null",
            "SHAPE geometry null",
            "DOCUMENT json null",
            "EMBEDDING vector(3) null",
        ],
        &["NODE"],
    )
}
