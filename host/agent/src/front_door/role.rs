//! Who asks: a role, by the bearer token that the request carries.
//!
//! * Each role may do what the one before it may, and more: read-only looks, pos sells, operator decides.
//! * A token is compared by its hash with every role's, always with all of them: neither the time of an answer nor the
//!   length of a token says how near a wrong one came.

use super::DoorError;
use crate::settings::register_file::FrontDoorAddress;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use tillhold_core::text;
use tillhold_env::Env;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Without a token, or with a wrong one.
    Anyone,
    ReadOnly,
    Pos,
    Operator,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Anyone, Role::ReadOnly, Role::Pos, Role::Operator];

    pub fn name(self) -> &'static str {
        match self {
            Role::Anyone => "anyone",
            Role::ReadOnly => "read-only",
            Role::Pos => "pos",
            Role::Operator => "operator",
        }
    }

    /// Its place in [`Role::ALL`].
    pub fn rank(self) -> usize {
        self as usize
    }
}

/// What opens the door, as hashes.
pub struct Tokens(Vec<(Role, [u8; 32])>);

impl Tokens {
    /// Reads each role's file; one that is not there is made, readable by its owner only.
    pub fn read(env: &Env, door: &FrontDoorAddress) -> Result<Tokens, DoorError> {
        let files = [
            (Role::ReadOnly, &door.read_only_token_file),
            (Role::Pos, &door.pos_token_file),
            (Role::Operator, &door.token_file),
        ];
        let mut known: Vec<(Role, [u8; 32])> = Vec::new();
        let mut named: Vec<&PathBuf> = Vec::new();
        for (role, file) in files {
            let hash = hash(token(env, file)?.as_bytes());
            if let Some(at) = known.iter().position(|(_, other)| *other == hash) {
                let (one, other) = (named[at].display().to_string(), file.display().to_string());
                return Err(DoorError::TokenTwice { one, other });
            }
            known.push((role, hash));
            named.push(file);
        }
        Ok(Tokens(known))
    }

    /// Nobody's.
    pub fn none() -> Tokens {
        Tokens(Vec::new())
    }

    /// The role of `given`; [`Role::Anyone`] when it is nobody's token.
    pub fn role(&self, given: &[u8]) -> Role {
        let given = hash(given);
        let mut rank = 0_u8;
        for (role, known) in &self.0 {
            rank.conditional_assign(&(role.rank() as u8), given.ct_eq(known));
        }
        Role::ALL[usize::from(rank)]
    }
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn token(env: &Env, file: &Path) -> Result<String, DoorError> {
    let wrong = |cause| DoorError::File { file: file.display().to_string(), cause };
    match std::fs::read_to_string(file) {
        Ok(text) if !text.trim().is_empty() => match is_open_to_all(file) {
            true => Err(DoorError::TokenExposed { file: file.display().to_string() }),
            false => Ok(text.trim().to_string()),
        },
        Ok(_) => make(env, file).map_err(wrong),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            make(env, file).map_err(wrong)
        }
        Err(error) => Err(wrong(error)),
    }
}

/// A group may be let in: the account under which the POS runs.
fn is_open_to_all(file: &Path) -> bool {
    #[cfg(unix)]
    {
        let mode = std::fs::metadata(file)
            .map_or(0, |file| std::os::unix::fs::PermissionsExt::mode(&file.permissions()));
        mode & 0o004 != 0
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

fn make(env: &Env, file: &Path) -> std::io::Result<String> {
    let mut bytes = [0; 32];
    env.random.fill(&mut bytes);
    let token = text::hexadecimal(&bytes);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut opened = options.open(file)?;
    // One that was there, empty, has the rights that somebody gave it.
    #[cfg(unix)]
    opened.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    std::io::Write::write_all(&mut opened, token.as_bytes())?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::{Role, Tokens, hash};

    #[test]
    fn a_token_has_its_role_and_nothing_near_it_has() {
        let tokens = [(Role::ReadOnly, "reads"), (Role::Pos, "sells"), (Role::Operator, "decides")];
        let tokens = Tokens(tokens.map(|(role, token)| (role, hash(token.as_bytes()))).into());
        for (given, expected) in [
            ("reads", Role::ReadOnly),
            ("sells", Role::Pos),
            ("decides", Role::Operator),
            ("", Role::Anyone),
            ("decide", Role::Anyone),
            ("decides ", Role::Anyone),
            ("sellsdecides", Role::Anyone),
        ] {
            assert_eq!(tokens.role(given.as_bytes()), expected, "'{given}'");
        }
    }

    #[test]
    fn each_role_may_more_than_the_one_before_it() {
        assert!(Role::ALL.is_sorted());
        assert!(Role::ALL.iter().enumerate().all(|(at, role)| role.rank() == at));
    }
}
