//! A damaged offline database: bytes of a real journal or catalogue changed, or its end cut off.
//!
//! The first byte says which of the two; then, again and again, a place (four bytes, little-endian, counted around), a
//! number of bytes, and these bytes. 255 of them cut the file off there.
//!
//! * It opens, or is refused with a text; nothing panics, then or when it is asked.

use crate::house::{self, cut_off};
use crate::outside::{Outside, folder};

const CUT: u8 = 255;

pub fn harm(input: &[u8]) {
    let Some((which, changes)) = input.split_first() else { return };
    let [mut journal, mut catalogue] = house::files().clone();
    change(if which % 2 == 0 { &mut journal } else { &mut catalogue }, changes);
    let (outside, folder) = (Outside::new(), folder());
    let env = cut_off(&outside.env);
    outside.run(async {
        let house = match house::open(&env, folder.path(), Some([&journal, &catalogue])).await {
            Ok(house) => house,
            Err(why) => return assert!(!why.is_empty(), "refused without a word"),
        };
        // What is damaged where the check does not look shows itself here.
        for (method, path, body) in [
            ("GET", "/v1/status", ""),
            ("GET", "/v1/tables/dbo.EVERYTYPE/rows?limit=10", ""),
            ("GET", "/v1/tables/dbo.COUNTED/rows?NAME=one", ""),
            ("GET", house::SALE, ""),
            ("GET", "/v1/quarantine", ""),
            (
                "PUT",
                "/v1/transactions/00000000-0000-4000-8000-000000000002",
                r#"{"rows": [{"table": "dbo.EVERYTYPE", "operation": "insert", "values": {"ID": 4}}]}"#,
            ),
        ] {
            let answer = house.ask(method, path, body.as_bytes().to_vec()).await;
            assert!(answer.is_some_and(|answer| answer.status > 0));
        }
        let _ = house.close().await;
    });
}

fn change(file: &mut Vec<u8>, mut changes: &[u8]) {
    while let [a, b, c, d, count, rest @ ..] = changes {
        if file.is_empty() {
            return;
        }
        let at = u32::from_le_bytes([*a, *b, *c, *d]) as usize % file.len();
        if *count == CUT {
            file.truncate(at);
            changes = rest;
            continue;
        }
        let (bytes, rest) = rest.split_at(usize::from(*count).min(rest.len()));
        let end = (at + bytes.len()).min(file.len());
        file[at..end].copy_from_slice(&bytes[..end - at]);
        changes = rest;
    }
}
