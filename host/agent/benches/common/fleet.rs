//! Several registers of a shop: folders with settings of their own, agents as processes of their own.

use super::register::{Running, is_ready};
use super::{Fallible, Shop};
use std::fs;
use std::path::PathBuf;

/// A folder for the register of that number, with the shop's settings and profile; it meets the channel at `port`.
pub fn register(shop: &Shop, number: usize, port: u16) -> Fallible<PathBuf> {
    let folder = shop.path(&format!("register-{number}"));
    fs::create_dir_all(&folder)?;
    let settings = fs::read_to_string(shop.path("register.toml"))?;
    let settings = settings
        .replace("register = \"1\"", &format!("register = \"{number}\""))
        .replace(&format!("port = {}", shop.address.port()), &format!("port = {port}"))
        .replace("\"channel-certificate.pem\"", "\"../channel-certificate.pem\"");
    fs::write(folder.join("register.toml"), settings)?;
    fs::copy(shop.path("owner.password"), folder.join("owner.password"))?;
    fs::copy(shop.path("profile.toml"), folder.join("profile.toml"))?;
    Ok(folder)
}

/// Starts them all, then waits until each is online with everything loaded.
pub async fn online(shop: &Shop, folders: &[PathBuf]) -> Fallible<Vec<Running>> {
    let mut fleet = Vec::with_capacity(folders.len());
    for folder in folders {
        fleet.push(Running::start_in(shop, folder).await?);
    }
    for running in &fleet {
        running.until(shop, is_ready).await?;
    }
    Ok(fleet)
}
