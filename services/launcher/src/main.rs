//! The `malla` binary: the whole mesh, any part of it, or the edge alone.
//!
//! Exits with 0 after a drained shutdown, 1 when it could not start, 64 for a setting or argument that cannot be
//! used, 130 on a second signal.

mod admin;
mod check;
mod cli;
mod commands;
mod data_dir;
mod deferral;
mod edge;
mod modules;
mod output;
mod process;
mod run;
mod upstream;

use std::process::ExitCode;

use clap::Parser as _;
use rustix::fs::Mode;

/// `EX_USAGE` of sysexits: the command was used wrongly.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    // What this process writes is for its owner alone: keys, hashes, other people's files.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match commands::execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "malla: {error:#}");
            let usage = error.chain().any(|cause| cause.is::<malla_runtime::config::Error>());
            ExitCode::from(if usage { USAGE } else { 1 })
        }
    }
}
