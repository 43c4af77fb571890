//! What can go wrong with pictures.

use crate::snapshot::fault::SnapshotError;
use std::path::{Path, PathBuf};
use tillhold_core::fault::Class;

#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("no pictures are kept: [images] is not set")]
    Off,
    #[error("'{name}' is no name of a picture")]
    Name { name: String },
    #[error("{name} is not on this register, and it is not online")]
    Offline { name: String },
    #[error("{name} is neither on this register nor at its source")]
    Missing { name: String },
    #[error("{name} is no picture: it is not PNG, JPEG, GIF, WebP or BMP")]
    NoPicture { name: String },
    #[error("{name} has more than {bytes_max} bytes")]
    TooLarge { name: String, bytes_max: u64 },
    #[error("{} cannot be used: {cause}", file.display())]
    File { file: PathBuf, cause: std::io::Error },
    #[error("the work with a picture broke off")]
    BrokeOff,
    #[error(transparent)]
    Source(#[from] SnapshotError),
}

impl ImageError {
    pub fn file(file: &Path, cause: std::io::Error) -> ImageError {
        ImageError::File { file: file.to_path_buf(), cause }
    }

    pub fn class(&self) -> Class {
        match self {
            ImageError::Source(error) => error.class(),
            ImageError::Offline { .. } => Class::Retry,
            ImageError::Name { .. } | ImageError::Missing { .. } => Class::Park,
            ImageError::NoPicture { .. } | ImageError::TooLarge { .. } => Class::Park,
            ImageError::Off | ImageError::File { .. } => Class::Reconfigure,
            ImageError::BrokeOff => Class::Stop,
        }
    }

    /// Stable: documented in docs/errors.md.
    pub fn code(&self) -> &'static str {
        match self {
            ImageError::Source(error) => error.code(),
            ImageError::Off => "image-off",
            ImageError::Name { .. } => "image-name",
            ImageError::Offline { .. } => "image-offline",
            ImageError::Missing { .. } => "image-missing",
            ImageError::NoPicture { .. } => "image-no-picture",
            ImageError::TooLarge { .. } => "image-too-large",
            ImageError::File { .. } => "image-file",
            ImageError::BrokeOff => "image-broke-off",
        }
    }

    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            ImageError::Source(error) => return error.hint(),
            ImageError::Off => "set [images] source in register.toml",
            ImageError::Name { .. } => {
                "send a relative path with plain parts, such as Products/0001.png"
            }
            ImageError::Offline { .. } => {
                "`tillhold images prefetch` brings pictures before they are needed"
            }
            ImageError::Missing { .. } => "put the file at the source under that name",
            ImageError::NoPicture { .. } => "put a picture there; SVG and HTML are refused",
            ImageError::TooLarge { .. } => {
                "make the picture smaller, or raise [images] size_max_mb"
            }
            ImageError::File { .. } => {
                "give the agent's account its rights there, and room on the disk"
            }
            ImageError::BrokeOff => "keep the log and report it as a defect",
        };
        Some(hint.to_string())
    }
}
