//! `tillhold demo`: the demonstration store, with this very program as its register.

use super::Done;
use clap::Args;
use std::path::PathBuf;
use tillhold_demo::{DemoOptions, Outcome};
use tillhold_env::Env;

#[derive(Args)]
pub struct DemoArgs {
    /// Times as many products, barcodes, prices and customers
    #[arg(long, default_value_t = 1, value_name = "N")]
    scale: u32,
    /// The same seed makes the same store
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Another shop's products: CSV, columns as in tests/data/README.md
    #[arg(long, value_name = "FILE", requires = "baskets")]
    products: Option<PathBuf>,
    /// Another shop's baskets: CSV, columns as in tests/data/README.md
    #[arg(long, value_name = "FILE", requires = "products")]
    baskets: Option<PathBuf>,
    /// Where everything is made; a fresh temporary folder by default
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Leave everything running for a look, until Ctrl-C
    #[arg(long)]
    keep: bool,
    #[arg(long, default_value_t = 60, value_name = "N")]
    sales_online: u32,
    #[arg(long, default_value_t = 120, value_name = "N")]
    sales_offline: u32,
    /// A component that is built already: NAME=FILE; may be given more than once
    #[arg(long, value_name = "NAME=FILE")]
    plugin: Vec<String>,
}

pub async fn demo(env: &Env, args: DemoArgs) -> anyhow::Result<Done> {
    let options = DemoOptions {
        program: std::env::current_exe()?,
        scale: args.scale,
        seed: args.seed,
        products: args.products,
        baskets: args.baskets,
        folder: args.folder,
        keep: args.keep,
        sales_online: args.sales_online,
        sales_offline: args.sales_offline,
        plugins: args.plugin,
    };
    match tillhold_demo::run(env, options).await? {
        Outcome::Holds => Ok(Done::Yes),
        Outcome::DoesNotHold => Ok(Done::No),
    }
}
