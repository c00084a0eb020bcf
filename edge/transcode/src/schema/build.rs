//! From descriptors to the index: collect files, name every type, resolve what refers to what.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use prost::Message as _;

use super::features::Features;
use super::lookup::{Names, Numbers};
use super::source::Sources;
use super::{
    Cardinality, Enum, EnumId, EnumValue, Field, Message, MessageId, Method, Schema, SchemaError, Service, Symbol,
};
use crate::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto, ServiceDescriptorProto,
};

mod field;
mod known;

pub(super) fn build(sets: &[&[u8]]) -> Result<Schema, SchemaError> {
    let files = files(sets)?;
    let mut schema = Schema::default();
    for file in &files {
        let mut scope = Scope::new(file)?;
        scope.declare(&mut schema)?;
    }
    for file in &files {
        let mut scope = Scope::new(file)?;
        scope.resolve(&mut schema)?;
    }
    for at in 0..schema.messages.len() {
        finish(&mut schema, at)?;
    }
    Ok(schema)
}

/// Each file once, in the order of their first appearance.
fn files(sets: &[&[u8]]) -> Result<Vec<FileDescriptorProto>, SchemaError> {
    let mut files: Vec<FileDescriptorProto> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (set, bytes) in sets.iter().enumerate() {
        let decoded = FileDescriptorSet::decode(*bytes).map_err(|cause| SchemaError::Unreadable { set, cause })?;
        for file in decoded.file {
            match known.entry(file.name.clone()) {
                Entry::Vacant(free) => {
                    free.insert(files.len());
                    files.push(file);
                }
                Entry::Occupied(same) if declares_the_same(&files[*same.get()], &file) => {}
                Entry::Occupied(_) => return Err(SchemaError::FilesDiffer { file: file.name }),
            }
        }
    }
    Ok(files)
}

/// Whatever the two say about the languages that are generated from them, and about where their source was.
fn declares_the_same(a: &FileDescriptorProto, b: &FileDescriptorProto) -> bool {
    let bare = |file: &FileDescriptorProto| FileDescriptorProto { source_code_info: None, ..file.clone() };
    bare(a) == bare(b)
}

/// One file while it is read.
pub(super) struct Scope<'a> {
    file: &'a FileDescriptorProto,
    sources: Sources<'a>,
    features: Features,
    /// Of the declaration at hand, as in `SourceCodeInfo`.
    path: Vec<i32>,
}

impl<'a> Scope<'a> {
    fn new(file: &'a FileDescriptorProto) -> Result<Self, SchemaError> {
        let features =
            Features::of_file(file).map_err(|found| SchemaError::Edition { file: file.name.clone(), found })?;
        Ok(Self { file, sources: Sources::of(file), features, path: Vec::new() })
    }

    /// With the path one step longer: the `at`-th of the list that is field `list` of its descriptor.
    fn inside<T>(&mut self, list: i32, at: usize, then: impl FnOnce(&mut Self) -> T) -> T {
        self.path.extend([list, i32::try_from(at).unwrap_or(i32::MAX)]);
        let result = then(self);
        self.path.truncate(self.path.len() - 2);
        result
    }

    fn invalid(&self, name: &str, problem: &'static str) -> SchemaError {
        SchemaError::Invalid { file: self.file.name.clone(), name: name.to_owned(), problem }
    }

    fn claim(&self, schema: &mut Schema, name: &str, symbol: Symbol) -> Result<(), SchemaError> {
        match schema.symbols.insert(name.into(), symbol) {
            None => Ok(()),
            Some(_) => Err(SchemaError::Duplicate { file: self.file.name.clone(), name: name.to_owned() }),
        }
    }

    /// Names every type and numbers it; fields come later, for they may refer to any of them.
    fn declare(&mut self, schema: &mut Schema) -> Result<(), SchemaError> {
        let (file, features) = (self.file, self.features);
        for (at, message) in file.message_type.iter().enumerate() {
            self.inside(4, at, |scope| scope.declare_message(schema, &file.package, message, features))?;
        }
        for (at, declared) in file.enum_type.iter().enumerate() {
            self.inside(5, at, |scope| scope.declare_enum(schema, &file.package, declared, features))?;
        }
        Ok(())
    }

    fn declare_message(
        &mut self,
        schema: &mut Schema,
        parent: &str,
        message: &DescriptorProto,
        features: Features,
    ) -> Result<(), SchemaError> {
        let name = join(parent, &message.name);
        let id = MessageId(u32::try_from(schema.messages.len()).expect("memory holds fewer than 2^32 messages"));
        self.claim(schema, &name, Symbol::Message(id))?;
        let options = message.options.as_ref();
        let features = features.with(options.and_then(|options| options.features.as_ref()));
        schema.messages.push(Message {
            name: name.as_str().into(),
            fields: Vec::new(),
            oneofs: Vec::new(),
            well_known: None,
            map_entry: options.is_some_and(|options| options.map_entry),
            message_set: options.is_some_and(|options| options.message_set_wire_format),
            deprecated: options.is_some_and(|options| options.deprecated),
            source: self.sources.at(&self.path),
            has_required: false,
            is_unambiguous: false,
            renamed: Vec::new(),
            names: Names::default(),
            numbers: Numbers::default(),
        });
        for (at, nested) in message.nested_type.iter().enumerate() {
            self.inside(3, at, |scope| scope.declare_message(schema, &name, nested, features))?;
        }
        for (at, nested) in message.enum_type.iter().enumerate() {
            self.inside(4, at, |scope| scope.declare_enum(schema, &name, nested, features))?;
        }
        Ok(())
    }

    fn declare_enum(
        &mut self,
        schema: &mut Schema,
        parent: &str,
        declared: &EnumDescriptorProto,
        features: Features,
    ) -> Result<(), SchemaError> {
        let name = join(parent, &declared.name);
        let id = EnumId(u32::try_from(schema.enums.len()).expect("memory holds fewer than 2^32 enums"));
        self.claim(schema, &name, Symbol::Enum(id))?;
        let options = declared.options.as_ref();
        let features = features.with(options.and_then(|options| options.features.as_ref()));
        let value = |(at, value): (usize, &crate::descriptor::EnumValueDescriptorProto)| EnumValue {
            name: value.name.as_str().into(),
            number: value.number,
            source: self.inside(2, at, |scope| scope.sources.at(&scope.path)),
        };
        let values: Vec<EnumValue> = declared.value.iter().enumerate().map(value).collect();
        let in_order = (0..).zip(&values).all(|(at, value): (i32, _)| value.number == at);
        let mut numbers = HashMap::new();
        if !in_order {
            for (at, value) in (0..).zip(&values) {
                numbers.entry(value.number).or_insert(at);
            }
        }
        schema.enums.push(Enum {
            closed: features.closed_enum,
            null_value: name == "google.protobuf.NullValue",
            name: name.into(),
            names: Names::new(values.iter().enumerate().map(|(at, value)| (&*value.name, at, false))),
            numbers,
            deprecated: options.is_some_and(|options| options.deprecated),
            source: self.sources.at(&self.path),
            values,
        });
        Ok(())
    }

    fn resolve(&mut self, schema: &mut Schema) -> Result<(), SchemaError> {
        let (file, features) = (self.file, self.features);
        for (at, message) in file.message_type.iter().enumerate() {
            self.inside(4, at, |scope| scope.resolve_message(schema, &file.package, message, features))?;
        }
        self.resolve_extensions(schema, 7, &file.package, &file.extension, features)?;
        for (at, service) in file.service.iter().enumerate() {
            self.inside(6, at, |scope| scope.resolve_service(schema, service))?;
        }
        Ok(())
    }

    fn resolve_message(
        &mut self,
        schema: &mut Schema,
        parent: &str,
        message: &DescriptorProto,
        features: Features,
    ) -> Result<(), SchemaError> {
        let name = join(parent, &message.name);
        let id = schema.find_message(&name).expect("declared before");
        let features = features.with(message.options.as_ref().and_then(|options| options.features.as_ref()));
        let (oneofs, position) = field::oneofs(message);
        for (at, declared) in message.field.iter().enumerate() {
            let field = self.inside(2, at, |scope| {
                scope.field(schema, &join(&name, &declared.name), declared, Some((message, &position)), features)
            })?;
            schema.messages[id.0 as usize].fields.push(field);
        }
        schema.messages[id.0 as usize].oneofs = oneofs;
        self.resolve_extensions(schema, 6, &name, &message.extension, features)?;
        for (at, nested) in message.nested_type.iter().enumerate() {
            self.inside(3, at, |scope| scope.resolve_message(schema, &name, nested, features))?;
        }
        Ok(())
    }

    fn resolve_extensions(
        &mut self,
        schema: &mut Schema,
        list: i32,
        parent: &str,
        extensions: &[FieldDescriptorProto],
        features: Features,
    ) -> Result<(), SchemaError> {
        for (at, declared) in extensions.iter().enumerate() {
            let name = join(parent, &declared.name);
            self.claim(schema, &name, Symbol::Extension)?;
            let extended = self.message(schema, &name, &declared.extendee)?;
            let field = self.inside(list, at, |scope| scope.field(schema, &name, declared, None, features))?;
            schema.messages[extended.0 as usize].fields.push(field);
        }
        Ok(())
    }

    fn resolve_service(&mut self, schema: &mut Schema, declared: &ServiceDescriptorProto) -> Result<(), SchemaError> {
        let name = join(&self.file.package, &declared.name);
        let at = schema.services.len();
        self.claim(schema, &name, Symbol::Service(at))?;
        let mut methods = Vec::with_capacity(declared.method.len());
        for (method_at, method) in declared.method.iter().enumerate() {
            self.claim(schema, &join(&name, &method.name), Symbol::Method(at, method_at))?;
            methods.push(self.inside(2, method_at, |scope| scope.method(schema, &name, method))?);
        }
        schema.services.push(Service { name: name.into(), methods, source: self.sources.at(&self.path) });
        Ok(())
    }

    fn method(&self, schema: &Schema, service: &str, declared: &MethodDescriptorProto) -> Result<Method, SchemaError> {
        let full_name = join(service, &declared.name);
        let options = declared.options.as_ref();
        let source = self.sources.at(&self.path);
        let annotation: Vec<i32> = self.path.iter().copied().chain([4, 72_295_728]).collect();
        Ok(Method {
            name: declared.name.as_str().into(),
            path: format!("/{service}/{}", declared.name).into(),
            input: self.message(schema, &full_name, &declared.input_type)?,
            output: self.message(schema, &full_name, &declared.output_type)?,
            full_name: full_name.into(),
            client_streaming: declared.client_streaming,
            server_streaming: declared.server_streaming,
            idempotency: match options.map_or(0, |options| options.idempotency_level) {
                1 => super::Idempotency::NoSideEffects,
                2 => super::Idempotency::Idempotent,
                _ => super::Idempotency::Unknown,
            },
            http: options.and_then(|options| options.http.clone()),
            http_line: self.sources.line(&annotation).unwrap_or(source.line),
            deprecated: options.is_some_and(|options| options.deprecated),
            source,
        })
    }

    /// What a type name refers to; compilers write them in full, with a dot before.
    fn message(&self, schema: &Schema, name: &str, target: &str) -> Result<MessageId, SchemaError> {
        let found = schema.find_message(target.trim_start_matches('.'));
        found.ok_or_else(|| self.unresolved(name, target, "a message"))
    }

    fn unresolved(&self, name: &str, target: &str, expected: &'static str) -> SchemaError {
        let (file, name, target) = (self.file.name.clone(), name.to_owned(), target.to_owned());
        SchemaError::Unresolved { file, name, target, expected }
    }
}

/// Puts a message's fields in order and makes its tables, once all extensions of it are known.
fn finish(schema: &mut Schema, at: usize) -> Result<(), SchemaError> {
    let message = &mut schema.messages[at];
    message.fields.sort_by_key(|field| field.number);
    let invalid = |problem| {
        Err(SchemaError::Invalid { file: message.source.file.to_string(), name: message.name.to_string(), problem })
    };
    if message.fields.windows(2).any(|pair| pair[0].number == pair[1].number) {
        return invalid("two fields have the same number");
    }
    if message.map_entry && !known::is_map_entry(&message.fields) {
        return invalid("is no valid entry of a map");
    }
    message.well_known = known::recognise(&message.name, &message.fields);
    message.has_required = message.fields.iter().any(|field| field.cardinality == Cardinality::Required);
    message.numbers = Numbers::new(&message.fields);
    message.renamed = part_json_names(&mut message.fields);
    let fields = message.fields.iter().enumerate();
    let json = fields.clone().map(|(at, field)| (&*field.json_name, at, false));
    let proto = fields.filter(|(_, field)| field.name != field.json_name).map(|(at, field)| (&*field.name, at, true));
    message.names = Names::new(json.chain(proto));
    message.is_unambiguous =
        (0..).zip(&message.fields).all(|(at, field)| message.position(field.json_name.as_bytes()) == Some(at));
    Ok(())
}

/// Of the fields that have one name in JSON it stays with the one that is so named in the proto too, else with the first;
/// the others' is as in the proto from now on. Their positions.
fn part_json_names(fields: &mut [Field]) -> Vec<usize> {
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for (at, field) in fields.iter().enumerate() {
        let owner = owners.entry(&field.json_name).or_insert(at);
        if field.name == field.json_name {
            *owner = at;
        }
    }
    let renamed: Vec<usize> = (0..fields.len()).filter(|at| owners[&*fields[*at].json_name] != *at).collect();
    for at in &renamed {
        let field = &mut fields[*at];
        field.json_name.clone_from(&field.name);
        field.keys.0.clone_from(&field.keys.1);
    }
    renamed
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}
