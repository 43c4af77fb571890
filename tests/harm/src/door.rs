//! Requests to the front door, through its real routes, of a register whose channel is out of reach.
//!
//! Requests are ended by a zero byte each; the first line of one is method and path, the rest its body. Paths whose bodies
//! name files of this machine are left out, and the endless stream of events.
//!
//! * No answer is a 500: whatever comes in is answered as what it is.
//! * Every refusal is a problem with a code and the status that it came with; every other answer in JSON is JSON.

use crate::house::{self, cut_off};
use crate::outside::{Outside, folder};
use serde_json::Value as Json;
use tillhold::outside::Answer;

const LEFT_OUT: [&str; 4] = ["unsent-", "plugins-preview", "snapshots", "events"];
const REQUESTS_MAX: usize = 8;

pub fn harm(input: &[u8]) {
    let input = String::from_utf8_lossy(input).into_owned();
    let [journal, catalogue] = house::files();
    let (outside, folder) = (Outside::new(), folder());
    let env = cut_off(&outside.env);
    outside.run(async {
        let files = Some([journal.as_slice(), catalogue.as_slice()]);
        let house = house::open(&env, folder.path(), files).await.expect("a register");
        for request in input.split('\0').take(REQUESTS_MAX) {
            let (head, body) = request.split_once('\n').unwrap_or((request, ""));
            let (method, path) = head.split_once(' ').unwrap_or(("GET", head));
            if LEFT_OUT.iter().any(|name| path.contains(name)) {
                continue;
            }
            if let Some(answer) = house.ask(method, path, body.as_bytes().to_vec()).await {
                check(head, &answer);
            }
        }
        house.close().await.expect("an end");
    });
}

fn check(head: &str, answer: &Answer) {
    let Answer { status, media_type, body } = answer;
    let said = String::from_utf8_lossy(body);
    assert_ne!(*status, 500, "{head}: {said}");
    if *status >= 400 {
        assert_eq!(media_type, "application/problem+json", "{head}: {status} {said}");
    }
    // HEAD has none.
    if body.is_empty() || !media_type.ends_with("json") {
        return;
    }
    let json: Json = serde_json::from_slice(body).expect("JSON");
    if *status >= 400 {
        assert!(json["code"].as_str().is_some_and(|code| !code.is_empty()), "{head}: {said}");
        assert_eq!(json["status"], *status, "{head}: {said}");
    }
}
