//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::check::Sources;

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
    /// Run the edge alone, in front of any gRPC servers: REST by what they say of themselves, and gRPC
    Edge(Edge),
    /// Print every HTTP route of the edge: method, path, RPC, who may call it
    Routes {
        #[command(subcommand)]
        command: Option<Routes>,
    },
    /// Say everything that is wrong with the HTTP bindings of the mesh, or of any descriptors; exits with 1 on errors
    Check(Sources),
    /// Print the effective settings as TOML, secrets masked: of the mesh, or of `malla edge` where there are [upstreams]
    Config,
    /// Bring the stores of all services, or of those named, up to date, and stop
    Migrate {
        /// Services whose stores to migrate [default: all]
        #[arg(value_name = "SERVICE")]
        targets: Vec<String>,
    },
}

/// What the edge stands in front of. More than fits here is in [upstreams.NAME] of the settings.
#[derive(Args, Debug, Default)]
pub(crate) struct Edge {
    /// A gRPC server, http://host:port or https://host:port, or several that serve the same, with commas between; repeat it
    /// for others
    #[arg(long = "upstream", value_name = "URL")]
    pub(crate) upstreams: Vec<String>,
    /// A file with its descriptors, all imports included, of buf or protoc [default: asked by server reflection]
    #[arg(long, value_name = "FILE")]
    pub(crate) descriptors: Vec<PathBuf>,
    /// With https, the authorities that are trusted, a PEM file [default: the machine's]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// A service configuration, in YAML or JSON, whose http.rules take the place of annotations
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Vec<PathBuf>,
    /// Serve methods without a rule as POST /package.Service/Method
    #[arg(long)]
    pub(crate) auto_mapping: bool,
    /// Where to listen [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Where metrics and probes are served; "off" for nowhere [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<String>,
    /// Threads that work [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) threads: Option<u16>,
}

/// What to say about routes.
#[derive(Debug, Subcommand)]
pub(crate) enum Routes {
    /// Say where a request without a body goes, what its fields are bound to, and what nearly took it
    Explain {
        /// The HTTP method
        method: String,
        /// The path, with the query if it has one: '/v1/beers?page_size=3'
        target: String,
        #[command(flatten)]
        sources: Sources,
    },
}
