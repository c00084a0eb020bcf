//! The data dir, and the one file in it that belongs to no service: the mesh's token, for all processes that share
//! the dir.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use malla_runtime::auth;
use malla_runtime::config::Secret;

const FILE: &str = "mesh.token";

/// Makes the data dir, for its owner alone: it will hold keys. Tells early when nothing can be written there.
pub(crate) fn prepare(data_dir: &Path) -> anyhow::Result<()> {
    let hint = || format!("the data dir {} is not writable; choose another with --data-dir", data_dir.display());
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).with_context(hint)?;
    let probe = data_dir.join(format!(".writable.{}", uuid::Uuid::new_v4().simple()));
    fs::write(&probe, []).and_then(|()| fs::remove_file(&probe)).with_context(hint)
}

/// Fills in the mesh's token where the config has none.
pub(crate) fn complete_auth(auth: &mut auth::Config, data_dir: &Path) -> anyhow::Result<()> {
    if !auth.mesh_token.is_empty() {
        return Ok(());
    }
    let path = data_dir.join(FILE);
    let token = match fs::read_to_string(&path) {
        Ok(token) => token,
        Err(error) if error.kind() == ErrorKind::NotFound => make(&path)?,
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    let token = token.trim();
    ensure!(!token.is_empty(), "{} is empty; remove it, and a new one will be made", path.display());
    auth.mesh_token = Secret::new(token);
    Ok(())
}

/// Makes the file whole or not at all: of processes that start together the first one's token wins for all. No process
/// id in the draft's name: containers that share the dir have the same ones.
fn make(path: &Path) -> anyhow::Result<String> {
    let draft = path.with_extension(format!("token.{}", uuid::Uuid::new_v4().simple()));
    let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(token.as_bytes()).and_then(|()| file.sync_all()));
    written.with_context(|| format!("{} cannot be written", draft.display()))?;
    let linked = fs::hard_link(&draft, path);
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("{} cannot be made", path.display()))
        }
        _ => fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display())),
    }
}

#[cfg(test)]
mod tests;
