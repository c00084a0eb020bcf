//! Compiles `proto/malla/**` without protoc: one tree of Rust modules, and for each capability the bytes of its
//! descriptor set with imports, options and comments kept. Refuses a contract that leaves its policy open.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost_reflect::{DescriptorPool, MethodDescriptor, ReflectMessage as _};

const ROOT: &str = "proto";
const OPTIONS: &str = "options";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let mut constants = String::new();
    let mut every = compiler()?;
    for capability in capabilities()? {
        let file = format!("malla/{capability}/v1/{capability}.proto");
        every.open_file(&file)?;
        if capability == OPTIONS {
            continue;
        }
        let mut own = compiler()?;
        own.open_file(&file)?;
        // So that reflection and the edge know what errors carry.
        own.open_file("google/rpc/error_details.proto")?;
        // Not `protox::compile`: its set has lost every custom option.
        fs::write(out.join(format!("{capability}.bin")), own.encode_file_descriptor_set())?;
        writeln!(
            constants,
            "/// Descriptor set of `malla.{capability}.v1` with its imports, options and comments.\n\
             pub const {}: &[u8] = include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{capability}.bin\"));",
            capability.to_uppercase(),
        )?;
    }
    fs::write(out.join("descriptors.rs"), constants)?;
    check_policies(&DescriptorPool::decode(every.encode_file_descriptor_set().as_slice())?)?;
    tonic_prost_build::configure()
        .bytes(".")
        // Google's comments hold indented prose that rustdoc takes for code.
        .disable_comments(["google"])
        .include_file("tree.rs")
        .compile_fds(every.file_descriptor_set())?;
    Ok(())
}

fn compiler() -> Result<protox::Compiler, protox::Error> {
    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler.include_imports(true).include_source_info(true);
    Ok(compiler)
}

/// Names of the folders below `proto/malla`, sorted.
fn capabilities() -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(Path::new(ROOT).join("malla"))? {
        names.push(entry?.file_name().into_string().map_err(|name| format!("{} is not UTF-8", name.display()))?);
    }
    names.sort();
    Ok(names)
}

/// Every RPC of ours says who may call it and whether it may be repeated; all offenders are named at once.
fn check_policies(pool: &DescriptorPool) -> Result<(), Box<dyn Error>> {
    let policy = pool.get_extension_by_name("malla.options.v1.method").ok_or("malla.options.v1.method is missing")?;
    let open = |method: &MethodDescriptor| {
        let options = method.options();
        let access = options
            .get_extension(&policy)
            .as_message()
            .and_then(|policy| policy.get_field_by_name("access").and_then(|access| access.as_enum_number()));
        let repeatable =
            options.descriptor().get_field_by_name("idempotency_level").is_some_and(|field| options.has_field(&field));
        access.is_none_or(|access| access == 0) || !repeatable
    };
    let offenders: Vec<String> = pool
        .services()
        .filter(|service| service.package_name().starts_with("malla."))
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .filter(open)
        .map(|method| method.full_name().to_owned())
        .collect();
    if offenders.is_empty() {
        return Ok(());
    }
    Err(format!("these RPCs lack (malla.options.v1.method).access or idempotency_level: {}", offenders.join(", "))
        .into())
}
