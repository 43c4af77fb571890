//! ax.RETAILCUSTTABLE's own columns, and one more to make twelve: what the rule of the measurements is asked about.

pub const COLUMNS: [(&str, &str); 12] = [
    ("RECID", "bigint"),
    ("ACCOUNTNUM", "nvarchar(20)"),
    ("IMAGE", "nvarchar(1999)"),
    ("NONCHARGABLEACCOUNT", "int"),
    ("POSTASSHIPMENT", "int"),
    ("RECEIPTEMAIL", "nvarchar(80)"),
    ("RECEIPTOPTION", "int"),
    ("REQUIRESAPPROVAL", "int"),
    ("USEORDERNUMBERREFERENCE", "int"),
    ("MODIFIEDDATETIME", "datetime"),
    ("DATAAREAID", "nvarchar(4)"),
    ("BALANCE", "numeric(32,16)"),
];
