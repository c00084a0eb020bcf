//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A gRPC-first service mesh with a REST transcoding edge.
#[derive(Debug, Parser)]
#[command(name = "malla", version, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// What holds for every command.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Settings file [default: malla.toml in the working directory, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder for all that is stored [default: data]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the mesh: all services and the edge, or the targets named
    Run {
        /// Services to run, and "edge" [default: all]
        #[arg(value_name = "TARGET")]
        targets: Vec<String>,
        /// Where to listen: the edge's address, or the service's when one service is run alone
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<String>,
        /// Where metrics and probes are served; "off" for nowhere [default: 127.0.0.1:9090]
        #[arg(long, value_name = "ADDRESS")]
        admin: Option<String>,
    },
    /// Print every HTTP route of the edge: method, path, RPC, who may call it
    Routes,
    /// Print the effective settings as TOML, secrets masked
    Config,
    /// Bring the stores of all services, or of those named, up to date, and stop
    Migrate {
        /// Services whose stores to migrate [default: all]
        #[arg(value_name = "SERVICE")]
        targets: Vec<String>,
    },
}
