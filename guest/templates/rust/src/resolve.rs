//! Rows that both sides changed: what the customer said at the till counts.

use tillhold_sdk::{Conflict, Context, Resolution, Winner, resolver};

resolver! {
    "ax.RETAILCUSTTABLE" { reads: *, writes: *, decide: receipt_wishes }
}

/// What only one side changed is taken anyway; the closure is asked for what both changed.
fn receipt_wishes(_: &Context, conflict: &Conflict) -> Resolution {
    conflict.merge(|column| match column {
        "RECEIPTEMAIL" | "RECEIPTOPTION" => Winner::Offline,
        "MODIFIEDDATETIME" => Winner::Later,
        _ => Winner::Person,
    })
}

#[cfg(test)]
mod tests {
    use super::RESOLVER;
    use tillhold_sdk::Resolution;
    use tillhold_sdk::testing::context;

    #[test]
    fn the_till_knows_the_address() {
        let before = [("RECEIPTEMAIL", "old@example.org".into())];
        let office = [("RECEIPTEMAIL", "office@example.org".into())];
        let till = [("RECEIPTEMAIL", "till@example.org".into())];
        let decided =
            RESOLVER.judge(&context(), "ax.RETAILCUSTTABLE", &before, Some(&office), Some(&till));
        assert_eq!(decided, Resolution::nothing().set("RECEIPTEMAIL", "till@example.org"));
    }
}
