//! The configuration that a command line asks for: its file is read, and its flags are laid over that.

use super::Config;
use super::file::{self, File, FileError};
use super::resolve::{Missing, resolve};
use crate::cli::Flags;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is of no use.
    #[error(transparent)]
    File(#[from] FileError),
    /// Neither the file nor the flags give what is needed.
    #[error(transparent)]
    Missing(#[from] Missing),
}

/// Reads the file that `flags` name, if they name one, and lays them over it.
pub fn load(flags: &Flags) -> Result<Config, LoadError> {
    let file = flags.config.as_deref().map_or_else(|| Ok(File::default()), file::read)?;
    Ok(resolve(flags, file)?)
}
