//! The descriptors of the messages that are fuzzed: those of the codec's own tests, and a service of them.

fn main() {
    let kitchen = "../edge/transcode/src/json";
    println!("cargo::rerun-if-changed=src/service.proto");
    println!("cargo::rerun-if-changed={kitchen}");
    let mut compiler = protox::Compiler::new(["src", kitchen]).expect("both folders exist");
    compiler.include_imports(true).open_files(["service.proto"]).expect("the protos are valid");
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    std::fs::write(format!("{out}/descriptors"), compiler.encode_file_descriptor_set()).expect("the folder is cargo's");
}
