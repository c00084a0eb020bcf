use super::*;
use crate::fixture::descriptors;

#[test]
fn a_set_is_the_same_bytes_whatever_the_order_and_keeps_its_options() {
    let set = Set::decode(descriptors("echo.proto")).unwrap();
    let of = |files: Vec<Bytes>| {
        let mut read = Files::new(1 << 20);
        files.into_iter().try_for_each(|file| read.add(file)).unwrap();
        read.encode()
    };
    let encoded = of(set.file.clone());
    assert_eq!(encoded, of(set.file.into_iter().rev().collect()));
    let pool = DescriptorPool::decode(encoded).unwrap();
    let rule = pool.get_extension_by_name("google.api.http").unwrap();
    let service = pool.get_service_by_name(crate::fixture::SERVICE).unwrap();
    assert!(service.methods().any(|method| method.options().has_extension(&rule)));
}

#[test]
fn there_is_a_limit_to_bytes() {
    let set = descriptors("echo.proto");
    assert!(matches!(Files::new(set.len() - 1).add_set(set.clone()), Err(ReadError::TooLarge(_))));
    Files::new(set.len()).add_set(set).unwrap();
}
