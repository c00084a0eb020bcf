//! What every contract owes: a comment, a policy and a binding for each RPC, and old paths below the canonical one.

use std::collections::BTreeSet;

use malla_runtime::module::Module;
use malla_runtime::policy::{Access, Keys, Policies};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor, Value};

use crate::support::pool;

fn policies() -> Policies {
    Policies::read(&pool().encode_to_vec()).unwrap()
}

fn methods(pool: &DescriptorPool) -> Vec<MethodDescriptor> {
    let ours = |name: &str| name.starts_with("malla.") || name == "google.longrunning.Operations";
    pool.services()
        .filter(|service| ours(service.full_name()))
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// The method's bindings in order: HTTP method and template.
fn bindings(method: &MethodDescriptor, policies: &Policies) -> Vec<(String, String)> {
    let extension = pool().get_extension_by_name("google.api.http").unwrap();
    let own =
        method.options().has_extension(&extension).then(|| method.options().get_extension(&extension).into_owned());
    let rule = pool().get_message_by_name("google.api.HttpRule").unwrap();
    let foreign = policies.get(&path(method)).and_then(|policy| policy.http.clone());
    let foreign = foreign.map(|encoded| Value::Message(DynamicMessage::decode(rule, encoded).unwrap()));
    let Some(Value::Message(rule)) = foreign.or(own) else { return Vec::new() };
    let additional = rule.get_field_by_name("additional_bindings").unwrap().into_owned();
    let additional = additional.as_list().unwrap().iter().map(|rule| rule.as_message().unwrap().clone());
    std::iter::once(rule.clone()).chain(additional).filter_map(|rule| pattern(&rule)).collect()
}

fn pattern(rule: &DynamicMessage) -> Option<(String, String)> {
    let verb = ["get", "put", "post", "delete", "patch"].into_iter().find(|verb| rule.has_field_by_name(verb))?;
    Some((verb.to_uppercase(), rule.get_field_by_name(verb)?.as_str()?.to_owned()))
}

#[test]
fn every_rpc_has_a_policy_and_all_but_the_services_own_a_binding() {
    let policies = policies();
    for method in methods(pool()) {
        let policy = policies.get(&path(&method)).unwrap_or_else(|| panic!("{} has no policy", method.full_name()));
        let bound = !bindings(&method, &policies).is_empty();
        assert_eq!(
            bound,
            policy.access != Access::Service,
            "{}: bound for clients, or for services only",
            method.full_name()
        );
    }
}

/// Who carries a call out later needs a link to its service.
#[test]
fn services_with_deferrable_methods_are_called_by_operations() {
    let policies = policies();
    let deferrable = |method: &MethodDescriptor| policies.get(&path(method)).is_some_and(|policy| policy.deferrable);
    let package = |method: MethodDescriptor| method.parent_service().package_name().to_owned();
    let packages: BTreeSet<String> = methods(pool()).into_iter().filter(deferrable).map(package).collect();
    let called = <malla_operations::Operations as Module>::CALLS.iter().map(|name| format!("malla.{name}.v1"));
    assert_eq!(packages, called.collect());
}

#[test]
fn the_canonical_path_comes_first() {
    let policies = policies();
    for method in methods(pool()) {
        for (at, (_, template)) in bindings(&method, &policies).iter().enumerate() {
            assert_eq!(template.starts_with("/v1/"), at == 0, "{}: {template} is binding {at}", method.full_name());
        }
    }
}

/// An idempotency key's request is known by its bytes, and encoders write maps in any order.
#[test]
fn requests_whose_keys_are_kept_have_no_maps() {
    fn has_map(message: &MessageDescriptor, seen: &mut BTreeSet<String>) -> bool {
        let inner = |field: FieldDescriptor| field.kind().as_message().cloned();
        seen.insert(message.full_name().to_owned())
            && (message.fields().any(|field| field.is_map())
                || message.fields().filter_map(inner).any(|message| has_map(&message, seen)))
    }
    let policies = policies();
    for method in methods(pool()) {
        let kept = policies.get(&path(&method)).is_some_and(|policy| policy.keys != Keys::Own);
        let mapped = has_map(&method.input(), &mut BTreeSet::new());
        assert!(!(kept && mapped), "{}: declare KEYS_OWN and see to keys in the service", method.full_name());
    }
}

#[test]
fn options_of_a_binding_name_a_binding_of_the_method() {
    let policies = policies();
    for method in methods(pool()) {
        let bound: Vec<String> =
            bindings(&method, &policies).iter().map(|(verb, path)| format!("{verb} {path}")).collect();
        for binding in &policies.get(&path(&method)).unwrap().bindings {
            assert!(
                bound.contains(&binding.pattern),
                "{}: no binding {:?} in {bound:?}",
                method.full_name(),
                binding.pattern
            );
        }
    }
}

#[test]
fn everything_in_our_files_has_a_comment() {
    let mut bare = BTreeSet::new();
    for file in pool().files().filter(|file| file.package_name().starts_with("malla.")) {
        let proto = file.file_descriptor_proto();
        let commented: BTreeSet<Vec<i32>> = proto
            .source_code_info
            .iter()
            .flat_map(|info| &info.location)
            .filter(|location| location.leading_comments.as_deref().is_some_and(|comment| !comment.trim().is_empty()))
            .map(|location| location.path.clone())
            .collect();
        let mut need = |path: Vec<i32>, name: String| {
            if !commented.contains(&path) {
                bare.insert(format!("{}: {name}", file.name()));
            }
        };
        // Field numbers of descriptor.proto: message_type 4, enum_type 5, service 6; field 2, method 2, value 2.
        for (at, message) in (0..).zip(&proto.message_type) {
            need(vec![4, at], message.name().to_owned());
            for (of, field) in (0..).zip(&message.field) {
                need(vec![4, at, 2, of], format!("{}.{}", message.name(), field.name()));
            }
        }
        for (at, kind) in (0..).zip(&proto.enum_type) {
            need(vec![5, at], kind.name().to_owned());
            for (of, value) in (0..).zip(&kind.value) {
                need(vec![5, at, 2, of], format!("{}.{}", kind.name(), value.name()));
            }
        }
        for (at, service) in (0..).zip(&proto.service) {
            need(vec![6, at], service.name().to_owned());
            for (of, method) in (0..).zip(&service.method) {
                need(vec![6, at, 2, of], format!("{}.{}", service.name(), method.name()));
            }
        }
    }
    assert!(bare.is_empty(), "without a comment: {bare:#?}");
}
