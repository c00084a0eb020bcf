//! Compiles the proto twice over: to Rust, and to the descriptor set that the edge reads.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    // The second folder is where google/api/annotations.proto is.
    let mut compiler = protox::Compiler::new(["proto", "../../../proto"])?;
    compiler.include_imports(true).include_source_info(true).open_file("greeter.proto")?;
    // These bytes have the options; those of `file_descriptor_set` have lost them.
    fs::write(out.join("greeter.binpb"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
