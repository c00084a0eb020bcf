//! Descriptors for the crate's tests: protos given as text, compiled when the tests run.

use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};

use crate::Schema;

struct Texts(Vec<(String, String)>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let text = self.0.iter().find(|(file, _)| file == name);
        let (_, text) = text.ok_or_else(|| protox::Error::file_not_found(name))?;
        File::from_source(name, text)
    }
}

/// The descriptor set of all these files `(name, text)` and what they import: each other, `google/protobuf`, and the
/// repository's `proto/`.
pub(crate) fn compile(files: &[(&str, &str)]) -> Vec<u8> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Texts(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()));
    resolver.add(GoogleFileResolver::new());
    resolver.add(IncludeFileResolver::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto").into()));
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    for (name, _) in files {
        compiler.open_file(name).unwrap();
    }
    compiler.encode_file_descriptor_set()
}

/// The schema of one file.
pub(crate) fn schema(text: &str) -> Schema {
    Schema::new(&[&compile(&[("test.proto", text)])]).unwrap()
}
