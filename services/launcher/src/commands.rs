//! The commands, one function each.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use malla_runtime::auth::Authenticator;
use malla_runtime::config::Settings;
use malla_runtime::module::Context;

use crate::cli::{self, Cli, Command, Options, Routes};
use crate::modules::MODULES;
use crate::output::{self, print};
use crate::process::Process;
use crate::upstream::upstreams;
use crate::{check, data_dir, edge, run};

/// Carries out a command line.
pub(crate) fn execute(cli: Cli) -> anyhow::Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Command::Edge(cli::Edge { threads: Some(threads), .. }) = cli.command {
        builder.worker_threads(threads.into());
    }
    let runtime = builder.enable_all().build()?;
    match cli.command {
        Command::Run { targets, listen, admin } => {
            let process = Process::read(&cli.options, &targets, listen.as_deref(), admin.as_deref())?;
            runtime.block_on(run::run(process))
        }
        Command::Edge(arguments) => {
            let settings = edge::Settings::read(&cli.options, &arguments)?;
            runtime.block_on(edge::run(settings))
        }
        Command::Routes { command: Some(Routes::Explain { method, target, sources }) } => {
            check::explain(&runtime.block_on(sources.read(&cli.options))?, &method, &target)
        }
        Command::Check(sources) => check::check(&runtime.block_on(sources.read(&cli.options))?),
        Command::Routes { command: None } => {
            // Links are made, so a runtime has to be entered; nothing is called.
            let _entered = runtime.enter();
            routes(&cli.options)
        }
        Command::Config => config(&cli.options),
        Command::Migrate { targets } => runtime.block_on(migrate(&cli.options, &targets)),
    }
}

fn config(options: &Options) -> anyhow::Result<()> {
    let settings = Settings::load("", options.config.as_deref(), &[])?;
    let text = if upstreams(&settings)?.is_empty() {
        Process::read(options, &[], None, None)?.print()
    } else {
        edge::Settings::read(options, &cli::Edge::default())?.print()
    };
    print(&text.context("the settings cannot be written as TOML")?)
}

async fn migrate(options: &Options, targets: &[String]) -> anyhow::Result<()> {
    let process = Process::read(options, targets, None, None)?;
    data_dir::prepare(&process.data_dir)?;
    let context = Context::alone(process.data_dir.clone());
    for (entry, plan) in &process.services {
        let place = (plan.migrate)(&context).await.map_err(|error| anyhow!("{}: {error}", entry.name))?;
        print(&format!("{:14}{place}\n", entry.name))?;
    }
    Ok(())
}

fn routes(options: &Options) -> anyhow::Result<()> {
    let process = Process::read(options, &[], None, None)?;
    let links = malla_runtime::link::Links::new(&MODULES.map(|module| module.name), &process.discovery);
    let edge = run::edge(&process, &links, Arc::new(Authenticator::new(&process.auth)))?;
    print(&output::routes(edge.routes()))
}
