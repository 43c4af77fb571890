//! The case files.

use super::check;

macro_rules! case_files {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                check(concat!(stringify!($name), ".txt"), include_str!(concat!("cases/", stringify!($name), ".txt")));
            }
        )*
    };
}

case_files!(
    alterations,
    catalogue_views,
    changes,
    computed,
    control,
    procedures,
    refusals,
    selects,
    temporaries,
    transactions,
    triggers,
    types,
);
