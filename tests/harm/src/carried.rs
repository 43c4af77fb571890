//! Files that come from elsewhere: unsent sales of another register, a snapshot's manifest, rows and schemas of an author.
//!
//! The first byte says which: `U` a file of unsent sales, `S` one of its lines whoever signed it, `M` a manifest, `R` rows
//! as CSV or JSON, `T` a schema.
//!
//! * It is read, or refused with a text. A sale that is read has rows of its table's shape.

use crate::channel::every_type;
use crate::outside::folder;
use std::sync::Arc;
use tillhold::outside::{manifest, unsent_sale, unsent_sales};
use tillhold_kit::{RowReader, Schema};

pub fn harm(input: &[u8]) {
    let Some((which, bytes)) = input.split_first() else { return };
    let table = Arc::new(every_type());
    let text = String::from_utf8_lossy(bytes);
    let refused = match which {
        b'U' => file(bytes, |path| unsent_sales(path).map_err(|error| error.to_string())),
        b'S' => unsent_sale(&text, &table).map(|sale| {
            for write in &sale.writes {
                let rows = [&write.base, &write.offline].into_iter().flatten();
                rows.for_each(|row| assert_eq!(row.0.len(), table.columns.len()));
            }
        }),
        b'M' => manifest(&text).map(drop).map_err(|error| error.to_string()),
        b'R' => rows(bytes, &table),
        _ => file(bytes, |path| Schema::open(path).map(drop).map_err(|error| error.to_string())),
    };
    if let Err(why) = refused {
        assert!(!why.is_empty(), "refused without a word");
    }
}

fn rows(bytes: &[u8], table: &tillhold_core::table::Table) -> Result<(), String> {
    for with_verdicts in [false, true] {
        let reader = RowReader::open("rows", bytes, None, table, with_verdicts);
        let mut reader = reader.map_err(|error| error.to_string())?;
        let columns = reader.shape().columns.len();
        for entry in reader.all().map_err(|error| error.to_string())? {
            assert_eq!(entry.row.0.len(), columns, "{entry:?}");
        }
    }
    Ok(())
}

fn file<T>(bytes: &[u8], read: impl FnOnce(&std::path::Path) -> T) -> T {
    let folder = folder();
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).expect("a file");
    read(&path)
}
