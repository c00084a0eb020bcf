//! The commands, one function each.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use malla_runtime::auth::Authenticator;
use malla_runtime::module::Context;

use crate::banner;
use crate::cli::{Cli, Command, Options};
use crate::modules::MODULES;
use crate::process::Process;
use crate::run;

/// Carries out a command line.
pub(crate) fn execute(cli: Cli) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        Command::Run { targets, listen, admin } => {
            let process = Process::read(&cli.options, &targets, listen.as_deref(), admin.as_deref())?;
            runtime.block_on(run::run(process))
        }
        Command::Routes => {
            // Links are made, so a runtime has to be entered; nothing is called.
            let _entered = runtime.enter();
            routes(&cli.options)
        }
        Command::Config => {
            let process = Process::read(&cli.options, &[], None, None)?;
            print(&process.print().context("the settings cannot be written as TOML")?)
        }
        Command::Migrate { targets } => runtime.block_on(migrate(&cli.options, &targets)),
    }
}

/// Writes to standard output; a reader that has left is no fault of ours.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Makes the data dir, for its owner alone: it will hold keys. Tells early when nothing can be written there.
pub(crate) fn prepare(data_dir: &Path) -> anyhow::Result<()> {
    let hint = || format!("the data dir {} is not writable; choose another with --data-dir", data_dir.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).with_context(hint)?;
    let probe = data_dir.join(format!(".writable.{}", std::process::id()));
    fs::write(&probe, []).and_then(|()| fs::remove_file(&probe)).with_context(hint)
}

async fn migrate(options: &Options, targets: &[String]) -> anyhow::Result<()> {
    let process = Process::read(options, targets, None, None)?;
    prepare(&process.data_dir)?;
    let context = Context::alone(process.data_dir.clone());
    for (entry, plan) in &process.services {
        let place = (plan.migrate)(&context).await.map_err(|error| anyhow!("{}: {error}", entry.name))?;
        print(&format!("{:14}{place}\n", entry.name))?;
    }
    Ok(())
}

fn routes(options: &Options) -> anyhow::Result<()> {
    let process = Process::read(options, &[], None, None)?;
    let links = malla_runtime::link::Links::new(&MODULES.map(|module| module.name), &process.discovery)?;
    let edge = run::edge(&process, &links, Arc::new(Authenticator::new(&process.auth)))?;
    print(&banner::routes(edge.routes()))
}
