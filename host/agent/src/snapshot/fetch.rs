//! A snapshot's file brought here piece by piece; one that broke off goes on behind its last good piece.
//!
//! * What is there already counts only by its hashes: a half piece, or another snapshot's, is fetched again.
//! * A piece that is not as its manifest says ends the fetch at once: the rest would be in vain.
//! * The whole file's hash is the last word.
//! * From its first byte on, others than its owner and its group do not read it.

use super::fault::SnapshotError;
use super::manifest::Manifest;
use super::signing;
use super::source::Source;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use tillhold_core::chunk::Chunks;
use tillhold_env::Env;
use tillhold_local::close_to_others;

/// Brings the manifest's file into `to`, whole and checked. How many bytes came over the wire.
pub async fn fetch(
    env: &Env,
    source: &Source,
    manifest: &Manifest,
    to: &Path,
) -> Result<u64, SnapshotError> {
    let unsound = || SnapshotError::OtherContent { reason: "it has no pieces".to_string() };
    let mut part = Part {
        pieces: manifest.pieces().ok_or_else(unsound)?,
        hashes: hashes(manifest).ok_or_else(unsound)?,
        file: open(to)?,
        at: 0,
        piece: Sha256::new(),
        to: to.to_path_buf(),
    };
    part.go_on()?;
    let mut came = 0;
    if part.at < manifest.bytes {
        let (start, mut incoming) = source.open(env, &manifest.file, part.at).await?;
        if start != part.at {
            part.start_anew(start)?;
        }
        while let Some(bytes) = incoming.next(env).await? {
            came += bytes.len() as u64;
            if part.at + bytes.len() as u64 > manifest.bytes {
                let (bytes, bytes_max) = (part.at + bytes.len() as u64, manifest.bytes);
                return Err(SnapshotError::TooLarge { bytes, bytes_max });
            }
            part.take(&bytes)?;
        }
        if part.at < manifest.bytes {
            part.keep()?;
            return Err(SnapshotError::Short { found: part.at, expected: manifest.bytes });
        }
    }
    part.keep()?;
    let hash = hash_of(to, manifest.bytes)?;
    match Some(hash.as_slice()) == signing::bytes(&manifest.sha256).as_deref() {
        true => Ok(came),
        false => Err(SnapshotError::Hash),
    }
}

struct Part {
    pieces: Chunks,
    hashes: Vec<Vec<u8>>,
    file: File,
    /// Bytes that are there.
    at: u64,
    /// Of the bytes of the piece that is coming.
    piece: Sha256,
    to: std::path::PathBuf,
}

impl Part {
    /// Trusts the leading pieces that are as they should be; what is behind them goes.
    fn go_on(&mut self) -> Result<(), SnapshotError> {
        let failed = |cause| SnapshotError::file(&self.to, cause);
        let have = self.file.metadata().map_err(failed)?.len();
        let (pieces, hashes, file) = (self.pieces, &self.hashes, &mut self.file);
        let is_right = |number: u64| {
            let range = pieces.range(number);
            let hash = hash_range(file, range.start, range.end - range.start);
            hash.is_ok_and(|hash| hashes.get(number as usize) == Some(&hash))
        };
        let from = pieces.resume(have, is_right);
        self.start_anew(from)
    }

    fn start_anew(&mut self, from: u64) -> Result<(), SnapshotError> {
        let failed = |cause| SnapshotError::file(&self.to, cause);
        self.file.set_len(from).map_err(failed)?;
        self.file.seek(SeekFrom::Start(from)).map_err(failed)?;
        (self.at, self.piece) = (from, Sha256::new());
        Ok(())
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), SnapshotError> {
        while !bytes.is_empty() {
            let number = self.number();
            let range = self.pieces.range(number);
            let now = bytes.len().min((range.end - self.at) as usize);
            let (piece, rest) = bytes.split_at(now);
            self.piece.update(piece);
            self.file.write_all(piece).map_err(|cause| SnapshotError::file(&self.to, cause))?;
            (self.at, bytes) = (self.at + now as u64, rest);
            if self.at == range.end {
                let hash = std::mem::take(&mut self.piece).finalize().to_vec();
                if self.hashes.get(number as usize) != Some(&hash) {
                    self.start_anew(range.start)?;
                    self.keep()?;
                    return Err(SnapshotError::Piece { from: range.start, to: range.end });
                }
            }
        }
        Ok(())
    }

    /// The piece that byte `at` is in; all but the last have one length.
    fn number(&self) -> u64 {
        let first = self.pieces.range(0);
        self.at / (first.end - first.start).max(1)
    }

    fn keep(&mut self) -> Result<(), SnapshotError> {
        self.file.sync_all().map_err(|cause| SnapshotError::file(&self.to, cause))
    }
}

fn open(to: &Path) -> Result<File, SnapshotError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // It becomes the catalogue: customers' data, for nobody but its owner and its group from the first byte on.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    let file = options.open(to).map_err(|cause| SnapshotError::file(to, cause))?;
    // One that an earlier version began may be open to everybody.
    close_to_others(to);
    Ok(file)
}

fn hashes(manifest: &Manifest) -> Option<Vec<Vec<u8>>> {
    manifest.chunks.iter().map(|hash| signing::bytes(hash)).collect()
}

fn hash_of(path: &Path, bytes: u64) -> Result<Vec<u8>, SnapshotError> {
    let failed = |cause| SnapshotError::file(path, cause);
    let mut file = File::open(path).map_err(failed)?;
    hash_range(&mut file, 0, bytes).map_err(failed)
}

/// SHA-256 of a range, in bounded memory.
pub fn hash_range(file: &mut File, from: u64, bytes: u64) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut left = bytes;
    while left > 0 {
        let wanted = left.min(buffer.len() as u64) as usize;
        let count = file.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        hash.update(&buffer[..count]);
        left -= count as u64;
    }
    Ok(hash.finalize().to_vec())
}
