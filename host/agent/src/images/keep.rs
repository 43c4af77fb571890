//! Pictures served, fetched when one is missing, and brought beforehand by the names in the offline database.

use super::cache::{Cache, Picture};
use super::fault::ImageError;
use crate::agent::Agent;
use crate::register::Register;
use crate::settings::device::ImageSettings;
use crate::snapshot::fault::SnapshotError;
use crate::snapshot::source::Source;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tillhold_client::web::{WebError, WebTrust};
use tillhold_core::failover::State;
use tillhold_core::filter::Filter;
use tillhold_core::limits;
use tillhold_core::picture::PictureName;
use tillhold_core::value::Value;
use tillhold_env::Env;
use tokio::sync::Semaphore;

/// The agent's pictures.
pub struct Images {
    env: Env,
    settings: Option<ImageSettings>,
    cache: Arc<Cache>,
    fetches: Semaphore,
}

/// Work that has time.
#[derive(Clone, Copy)]
pub struct Background<'a> {
    agent: &'a Agent,
    pace: Duration,
}

impl Background<'_> {
    /// Waits for the next fetch; whether there is to be one.
    async fn rests(&self) -> bool {
        tokio::select! {
            biased;
            () = self.agent.stopped() => false,
            () = tokio::time::sleep(self.pace) => self.agent.state() == State::Online,
        }
    }
}

/// What a prefetch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefetched {
    pub names: u64,
    pub fetched: u64,
    pub known: u64,
    pub missing: u64,
    pub refused: u64,
}

impl Images {
    pub fn new(register: &Register) -> Images {
        let settings = register.file.images.clone();
        let (folder, bytes_max) = match &settings {
            Some(settings) => (settings.folder.clone(), settings.bytes_max),
            None => Default::default(),
        };
        Images {
            env: register.env.clone(),
            settings,
            cache: Arc::new(Cache::new(folder, bytes_max)),
            fetches: Semaphore::new(limits::PICTURE_FETCHES_MAX),
        }
    }

    pub fn settings(&self) -> Result<&ImageSettings, ImageError> {
        self.settings.as_ref().ok_or(ImageError::Off)
    }

    /// The picture from the cache, or from its source when it may be asked.
    pub async fn get(&self, name: &str, is_online: bool) -> Result<Picture, ImageError> {
        let settings = self.settings()?;
        let wrong = || ImageError::Name { name: name.to_string() };
        let name = PictureName::parse(name).ok_or_else(wrong)?;
        let (wanted, now_ms) = (name.clone(), self.env.clock.wall_ms());
        if let Some(picture) = self.cached(move |cache| cache.find(&wanted, now_ms)).await? {
            return Ok(picture);
        }
        match is_online {
            true => self.fetch(settings, &name).await,
            false => Err(ImageError::Offline { name: name.as_str().to_string() }),
        }
    }

    /// Works on the cache away from the runtime's own threads.
    pub async fn cached<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cache) -> Result<T, ImageError> + Send + 'static,
    ) -> Result<T, ImageError> {
        let cache = self.cache.clone();
        let done = self.env.blocking("work with pictures", move || work(&cache)).await;
        done.ok_or(ImageError::BrokeOff)?
    }

    async fn fetch(
        &self,
        settings: &ImageSettings,
        name: &PictureName,
    ) -> Result<Picture, ImageError> {
        let _place = self.fetches.acquire().await.map_err(|_| ImageError::BrokeOff)?;
        let trust = WebTrust {
            certificate: settings.certificate.clone(),
            is_plain_allowed: settings.is_plain_allowed,
        };
        let source = Source::parse(&settings.source, trust)?;
        let (_, mut incoming) =
            source.open(&self.env, name.as_str(), 0).await.map_err(|e| missing(e, name))?;
        let mut bytes = Vec::new();
        while let Some(part) = incoming.next(&self.env).await.map_err(|e| missing(e, name))? {
            bytes.extend_from_slice(&part);
            if bytes.len() > limits::PICTURE_BYTES_MAX {
                let bytes_max = limits::PICTURE_BYTES_MAX as u64;
                return Err(ImageError::TooLarge { name: name.as_str().to_string(), bytes_max });
            }
        }
        let (name, now_ms) = (name.clone(), self.env.clock.wall_ms());
        self.cached(move |cache| cache.keep(&name, bytes, now_ms)).await
    }

    /// Brings every picture that the offline database names and that is not here, or not lately fetched. In the background it
    /// waits before each fetch and ends when the register is not online any more.
    pub async fn prefetch(
        &self,
        register: &Register,
        background: Option<Background<'_>>,
    ) -> Result<Prefetched, ImageError> {
        let settings = self.settings()?;
        let mut done = Prefetched::default();
        for name in names(register, settings).await {
            done.names += 1;
            let wanted = name.clone();
            let fetched_ms = self.cached(move |cache| cache.fetched_ms(&wanted)).await?;
            let now_ms = self.env.clock.wall_ms();
            // One of the future was fetched before the clock was set back: nobody knows how long before.
            let fresh_ms = 0..settings.refresh.as_millis() as i64;
            let is_fresh = |at: i64| fresh_ms.contains(&now_ms.saturating_sub(at));
            if fetched_ms.is_some_and(is_fresh) {
                done.known += 1;
                continue;
            }
            if let Some(background) = background
                && !background.rests().await
            {
                return Ok(done);
            }
            match self.fetch(settings, &name).await {
                Ok(_) => done.fetched += 1,
                Err(ImageError::Missing { .. }) => done.missing += 1,
                Err(ImageError::NoPicture { .. } | ImageError::TooLarge { .. }) => {
                    done.refused += 1
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

fn missing(error: SnapshotError, name: &PictureName) -> ImageError {
    let is_missing = match &error {
        SnapshotError::Web(WebError::Missing { .. }) => true,
        SnapshotError::File { cause, .. } => cause.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    };
    match is_missing {
        true => ImageError::Missing { name: name.as_str().to_string() },
        false => error.into(),
    }
}

/// The names that the columns of the settings hold. A table that is not loaded yet has none.
async fn names(register: &Register, settings: &ImageSettings) -> BTreeSet<PictureName> {
    let mut names = BTreeSet::new();
    for (table, column) in &settings.prefetch {
        let Some((_, table)) = register.table(table) else { continue };
        let Some(at) = table.position(column) else { continue };
        let mut filter = Filter { limit: limits::READ_ROWS_MAX, ..Filter::default() };
        while let Ok(rows) = register.local.read(table, &filter).await {
            let Some(last) = rows.last() else { break };
            filter.after = Some(last.key(table));
            for row in &rows {
                if let Value::Text(text) = &row.0[at] {
                    names.extend(PictureName::parse(text));
                }
            }
            if names.len() >= limits::PICTURES_PREFETCHED_MAX {
                return names;
            }
        }
    }
    names
}

/// Runs until the agent stops: brings pictures in the background, so many a minute, only while Online.
pub async fn keep_prefetched(agent: Arc<Agent>) {
    let Ok(settings) = agent.images.settings().cloned() else { return };
    if settings.prefetch.is_empty() {
        return;
    }
    let pace = Duration::from_secs_f64(60.0 / settings.per_minute);
    loop {
        if agent.state() == State::Online {
            let background = Background { agent: &agent, pace };
            let done = agent.images.prefetch(&agent.register(), Some(background)).await;
            if let Err(error) = done {
                agent.say(&format!("no pictures: [{}] {error}", error.code()));
            }
        }
        tokio::select! {
            biased;
            () = agent.stopped() => return,
            () = tokio::time::sleep(settings.interval) => {}
        }
    }
}
