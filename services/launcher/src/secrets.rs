//! The mesh's token: given by the config, or made once and kept in the data dir for all processes that share it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use malla_runtime::auth;
use malla_runtime::config::Secret;

const FILE: &str = "mesh.token";

/// Fills in the mesh's token where the config has none.
pub(crate) fn complete(auth: &mut auth::Config, data_dir: &Path) -> anyhow::Result<()> {
    if !auth.mesh_token.is_empty() {
        return Ok(());
    }
    let path = data_dir.join(FILE);
    let token = match fs::read_to_string(&path) {
        Ok(token) => token,
        Err(error) if error.kind() == ErrorKind::NotFound => make(&path)?,
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    auth.mesh_token = Secret::new(token.trim());
    Ok(())
}

/// Makes the file whole or not at all: of processes that start together the first one's token wins for all.
fn make(path: &Path) -> anyhow::Result<String> {
    let draft = path.with_extension(format!("token.{}", std::process::id()));
    let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
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
