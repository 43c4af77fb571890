//! From the settings to a register: by the profile as it is now, or by the one that was in force last.
//!
//! ```text
//! profile ─► shape (the channel's, or what is kept) ─► plugins, plan ─► register
//!    └────────────┴─ refused ─┴─► the last profile's text ─► shape (what is kept) ─► register, with the fault
//! ```
//!
//! * What a running agent refuses ([`crate::renewal`]) does not keep it from starting in the morning: it starts with what
//!   it had in the evening, says so, and takes the mended profile as a running one does.
//! * Of the last profile nothing is asked at the channel: its tables are those that the register has.
//! * Plugins come along: one that cannot be used gives way to the one of its name that was at work last.

use super::shape::{Ground, Shape};
use super::{Outlook, Register, known_tables};
use crate::fault::FlowError;
use crate::plugins::Plugins;
use crate::renewal::Fault;
use crate::report;
use crate::settings::profile_file::{ProfileFile, ProfileSource};
use crate::settings::reader::{Mistakes, Source};
use crate::settings::register_file::RegisterFile;
use crate::stored_profile;
use std::path::Path;
use std::sync::Arc;
use tillhold_channel::{ChannelConfig, Link};
use tillhold_core::fault::Class;
use tillhold_core::migration::Place;
use tillhold_core::table::Table;
use tillhold_env::Env;
use tillhold_local::LocalDatabase;

pub(super) struct Opening {
    env: Env,
    file: RegisterFile,
    channel: Arc<ChannelConfig>,
    local: LocalDatabase,
    known: Vec<Arc<Table>>,
    /// The profile that was taken last, as its text.
    last: Option<String>,
    plugins: Arc<Plugins>,
}

impl Opening {
    pub async fn of(
        env: &Env,
        file: RegisterFile,
        channel: ChannelConfig,
    ) -> anyhow::Result<Opening> {
        let local = LocalDatabase::open(env, &file.folder, &file.identity()).await?;
        let known = known_tables(&local).await?;
        let last = local.fact(stored_profile::PROFILE_TEXT).await?;
        let plugins = Arc::new(Plugins::new(env, &file)?);
        plugins.remember(&local).await?;
        let (env, channel) = (env.clone(), Arc::new(channel));
        Ok(Opening { env, file, channel, local, known, last, plugins })
    }

    pub async fn by_profile(self) -> Result<Register, FlowError> {
        let (source, shape) = self.shape().await?;
        finished(self.register(source, shape).await?).await
    }

    pub async fn by_profile_or_last(self) -> Result<Register, FlowError> {
        let (is_same, taken) = match self.shape().await {
            Ok((source, shape)) => (shape.is_same, self.register(source, shape).await),
            Err(error) => (false, Err(error)),
        };
        let register = match taken {
            Ok(register) => register,
            Err(error) => self.by_last(error, is_same).await?,
        };
        finished(register).await
    }

    /// Instead of the profile that was `refused`, which is the error where nothing stands in for it.
    async fn by_last(&self, refused: FlowError, is_same: bool) -> Result<Register, FlowError> {
        let Some(text) = &self.last else { return Err(refused) };
        let register = match self.last_in_force(text).await {
            Ok(Some(register)) => register,
            Ok(None) => return Err(refused),
            Err(error) => {
                let lost = "the profile that was in force last cannot be used either";
                report::line(&self.env, &format!("{lost}: [{}] {error}", error.code()));
                return Err(refused);
            }
        };
        // Nothing is wrong with the profile: the refused component is said and shown as in a running agent.
        if is_same && matches!(refused, FlowError::Plugin(_)) {
            return Ok(register);
        }
        let fault = Fault::of(&refused);
        let said = "the profile was not taken, the one that was in force last stays";
        report::line(&self.env, &format!("{said}: {fault}"));
        Ok(Register { profile_fault: Some(fault), ..register })
    }

    async fn last_in_force(&self, text: &str) -> Result<Option<Register>, FlowError> {
        let source = Source::new(Path::new("the profile that was in force last"), text.to_string());
        let parsed = ProfileFile::of(&source);
        if !parsed.mistakes.is_empty() {
            return Err(Mistakes(parsed.mistakes).into());
        }
        let Some(shape) = Shape::kept(&self.local, &self.ground(&parsed.built)).await? else {
            return Ok(None);
        };
        self.plugins.stand_in(&shape.profile.scopes, shape.tables()).await;
        // Where the mended one comes from, as far as its file says.
        let anyway = ProfileFile::open_anyway(&self.file.profile);
        let source = anyway.map_or(ProfileSource::File, |parsed| parsed.built.source);
        self.register(source, shape).await.map(Some)
    }

    async fn register(&self, source: ProfileSource, shape: Shape) -> Result<Register, FlowError> {
        let outlook = Outlook::of(&self.plugins, &self.local, source, shape).await?;
        outlook.take(&self.env, self.file.clone(), self.local.clone(), &self.channel).await
    }

    /// Of the profile as it is now.
    async fn shape(&self) -> Result<(ProfileSource, Shape), FlowError> {
        let profile_file = ProfileFile::open(&self.file.profile)?;
        let ground = self.ground(&profile_file);
        let mut link = Link::new(&self.env, self.channel.clone());
        let shape = match Shape::of_channel(&mut link, &ground).await {
            // A channel that lets nobody in this morning is no reason not to sell; the probes say what stands in the way.
            Err(FlowError::Channel(error))
                if error.class() == Class::Retry
                    || error.is_of_the_way_in() && !self.known.is_empty() =>
            {
                let kept = Shape::kept(&self.local, &ground).await?;
                kept.ok_or(FlowError::NeverSynchronised(error))?
            }
            shape => shape?,
        };
        Ok((profile_file.source, shape))
    }

    fn ground<'a>(&'a self, profile_file: &'a ProfileFile) -> Ground<'a> {
        let (file, known, last) = (&self.file, &self.known, self.last.as_deref());
        Ground { file, profile_file, known, last }
    }
}

async fn finished(register: Register) -> Result<Register, FlowError> {
    register.plugins.keep(&register.scopes).await;
    register.local.overwrite_removed(&[Place::Journal, Place::Catalogue]).await?;
    Ok(register)
}
