//! Rows on their way: addresses for receipts come to the register in one spelling.

use tillhold_sdk::{Context, Flow, Row, Verdict, transformer};

transformer! {
    "ax.RETAILCUSTTABLE" { reads: ["RECEIPTEMAIL"], writes: ["RECEIPTEMAIL"], rule: tidy }
}

fn tidy(context: &Context, row: &mut Row) -> Verdict {
    if context.flow == Flow::Push {
        return Verdict::Keep;
    }
    let address = row.text("RECEIPTEMAIL").unwrap_or_default();
    let tidied = address.trim().to_lowercase();
    if !tidied.is_empty() && !tidied.contains('@') {
        return Verdict::refuse("RECEIPTEMAIL is no address");
    }
    if tidied != address {
        row.set("RECEIPTEMAIL", tidied);
    }
    Verdict::Keep
}

#[cfg(test)]
mod tests {
    use super::TRANSFORMER;
    use tillhold_sdk::testing::{Judged, context};
    use tillhold_sdk::{Flow, Verdict};

    fn judge(flow: Flow, address: &str) -> Judged {
        let row = [("RECEIPTEMAIL", address.into())];
        TRANSFORMER.judge(&context().flow(flow), "ax.RETAILCUSTTABLE", &row)
    }

    #[test]
    fn addresses_have_one_spelling() {
        let judged = judge(Flow::Pull, " Anna@Example.org");
        assert_eq!(judged.changed("RECEIPTEMAIL"), Some(&"anna@example.org".into()));
        assert_eq!(judge(Flow::Pull, "").changes, []);
        assert_eq!(judge(Flow::Push, " Anna@Example.org").changes, []);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let refused = Verdict::refuse("RECEIPTEMAIL is no address");
        assert_eq!(judge(Flow::Pull, "anna").verdict, refused);
    }
}
