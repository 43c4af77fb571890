//! The two macros that make a plugin of plain functions.

/// Makes a transformer of one function a table.
///
/// ```
/// use tillhold_sdk::{Context, Row, Verdict, transformer};
///
/// transformer! {
///     "ax.RETAILCUSTTABLE" {
///         reads: ["RECEIPTEMAIL"],
///         writes: ["RECEIPTEMAIL"],
///         rule: without_mail,
///     }
/// }
///
/// fn without_mail(_: &Context, row: &mut Row) -> Verdict {
///     if row.text("RECEIPTEMAIL") != Some("") {
///         row.set("RECEIPTEMAIL", "");
///     }
///     Verdict::Keep
/// }
/// # fn main() {}
/// ```
///
/// `settings: ["store"],` before the first table names what the profile's config may set; see
/// [`Context::setting`](crate::Context::setting). `check: readable,` after it names a function of
/// [`Settings`](crate::Settings) that says what is wrong with their values, so that it is told when the plugin is loaded.
/// The whole plugin is then `TRANSFORMER`, for tests.
#[macro_export]
macro_rules! transformer {
    (
        $(settings: [$($setting:literal),* $(,)?],)?
        $(check: $check:path,)?
        $($table:literal {
            reads: [$($read:literal),* $(,)?],
            writes: [$($write:literal),* $(,)?],
            rule: $rule:path $(,)?
        })+
    ) => {
        /// The plugin.
        pub static TRANSFORMER: $crate::Transformer = $crate::Transformer {
            settings: &[$($($setting),*)?],
            checks: &[$($check)?],
            rules: &[$($crate::Rule {
                table: $table,
                reads: &[$($read),*],
                writes: &[$($write),*],
                rule: $rule,
            }),+],
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::generated::transformer::exports::tillhold::plugin::transform as exported;

            struct Plugin;

            impl exported::Guest for Plugin {
                fn describe(config: String) -> Result<Vec<exported::TableUse>, String> {
                    $crate::log::speak_when_panicking();
                    TRANSFORMER.describe(&config)
                }

                fn transform(
                    context: exported::Context,
                    table: String,
                    rows: u32,
                    columns: Vec<exported::Column>,
                ) -> Result<exported::Answer, String> {
                    $crate::log::speak_when_panicking();
                    TRANSFORMER.transform(context, &table, rows, &columns)
                }
            }

            $crate::generated::transformer::export_transformer!(
                Plugin with_types_in $crate::generated::transformer
            );
        };
    };
}

/// Makes a resolver of one function a table.
///
/// ```
/// use tillhold_sdk::{Conflict, Context, Resolution, Winner, resolver};
///
/// resolver! {
///     "ax.CUSTTABLE" { reads: *, writes: *, decide: by_the_office }
/// }
///
/// fn by_the_office(_: &Context, conflict: &Conflict) -> Resolution {
///     conflict.merge(|_column| Winner::Channel)
/// }
/// # fn main() {}
/// ```
///
/// `reads` and `writes` are `*` (every column that travels, but the key cannot be written) or a list as in
/// [`transformer!`](crate::transformer); so are `settings` and `check`. The whole plugin is then `RESOLVER`, for tests.
#[macro_export]
macro_rules! resolver {
    (
        $(settings: [$($setting:literal),* $(,)?],)?
        $(check: $check:path,)?
        $($table:literal {
            reads: $reads:tt,
            writes: $writes:tt,
            decide: $decide:path $(,)?
        })+
    ) => {
        /// The plugin.
        pub static RESOLVER: $crate::Resolver = $crate::Resolver {
            settings: &[$($($setting),*)?],
            checks: &[$($check)?],
            decisions: &[$($crate::Decision {
                table: $table,
                reads: $crate::columns!($reads),
                writes: $crate::columns!($writes),
                decide: $decide,
            }),+],
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::generated::resolver::exports::tillhold::plugin::resolve as exported;

            struct Plugin;

            impl exported::Guest for Plugin {
                fn describe(config: String) -> Result<Vec<exported::TableUse>, String> {
                    $crate::log::speak_when_panicking();
                    RESOLVER.describe(&config)
                }

                fn resolve(
                    context: exported::Context,
                    conflicts: Vec<exported::Conflict>,
                ) -> Result<Vec<exported::Resolution>, String> {
                    $crate::log::speak_when_panicking();
                    RESOLVER.resolve(context, conflicts)
                }
            }

            $crate::generated::resolver::export_resolver!(
                Plugin with_types_in $crate::generated::resolver
            );
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! columns {
    (*) => { &["*"] };
    ([$($column:literal),* $(,)?]) => { &[$($column),*] };
}
