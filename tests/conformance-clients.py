"""Encodes messages for HTTP bindings as Google's generated REST clients do.

Usage: conformance-clients.py DESCRIPTOR_SET OUT [SUITE]. Without SUITE it makes up a message for every binding; SUITE is
gapic-showcase's compliance_suite.json, which has messages and says for which methods they are. A line of OUT is a request,
with tabs between: the method, which of its bindings, the HTTP method, path, query, body (or "-"), and the message's bytes in
hexadecimal.
"""

import collections
import json
import re
import sys
from urllib.parse import urlencode

from google.api import annotations_pb2
from google.api_core import rest_helpers
from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor as F

DEPTH_MAX = 3
TEXT = "d\u00e9j\u00e0 vu \u2713 100% a+b&c=d/e?f#g:h"
WORDS = ("w\u00f6rd ~1", "a+b%2F&=?#:c")


class Left(Exception):
    """Why a binding is left out."""


def template_value(pattern, salt):
    """A text that fits a variable's pattern."""
    words = iter(WORDS * 8 if salt % 2 else WORDS[::-1] * 8)
    parts = []
    for part in pattern.split("/"):
        parts.append(next(words) if part == "*" else f"{next(words)}/more" if part == "**" else part)
    return "/".join(parts)


def scalar(field, salt):
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    return {
        F.CPPTYPE_STRING: b"\x00\xff\xfe~" if field.type == F.TYPE_BYTES else TEXT,
        F.CPPTYPE_BOOL: True,
        F.CPPTYPE_DOUBLE: 0.1 + salt,
        F.CPPTYPE_FLOAT: 1.5e-9,
        F.CPPTYPE_INT32: -(2**31),
        F.CPPTYPE_UINT32: 2**32 - 1,
        F.CPPTYPE_INT64: -(2**53) - 1,
        F.CPPTYPE_UINT64: 2**64 - 1,
    }[field.cpp_type]


def well_known(message):
    """Fills a message that JSON writes in a way of its own; whether it is one."""
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        message.seconds, message.nanos = 1_700_000_000, 123_456_000
    elif name == "google.protobuf.Duration":
        message.seconds, message.nanos = -3, -500_000_000
    elif name == "google.protobuf.FieldMask":
        message.paths.extend(["display_name", "labels.a_b"])
    elif name == "google.protobuf.Any":
        message.Pack(duration_pb2.Duration(seconds=5))
    elif name in ("google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"):
        if name.endswith("Struct"):
            message.update({"a": None, "b": [1, "x", True]})
        elif name.endswith("ListValue"):
            message.extend([1.5, "x", None])
        else:
            message.string_value = TEXT
    elif message.DESCRIPTOR.file.name == "google/protobuf/wrappers.proto":
        message.value = scalar(message.DESCRIPTOR.fields_by_name["value"], 1)
    else:
        return False
    return True


# What http.proto gives no form in a query: messages in lists, values of any shape, maps.
NOT_IN_QUERY = {"google.protobuf.Any", "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"}


def fill(message, in_query, depth, salt, reserved=()):
    """Fills all fields, of a oneof the first; those in a query only as far as a query can have them."""
    seen = set()
    for field in message.DESCRIPTOR.fields:
        if field.name in reserved or (field.containing_oneof and field.containing_oneof.name in seen):
            continue
        is_message = field.message_type is not None
        is_map = is_message and field.message_type.GetOptions().map_entry
        if in_query and is_message and (field.is_repeated or field.message_type.full_name in NOT_IN_QUERY):
            continue
        if is_message and depth == 0:
            continue
        if field.containing_oneof:
            seen.add(field.containing_oneof.name)
        if is_map:
            key, value = field.message_type.fields
            key = {F.CPPTYPE_STRING: "a key", F.CPPTYPE_BOOL: True}.get(key.cpp_type, 7)
            if value.message_type is None:
                getattr(message, field.name)[key] = scalar(value, salt)
            else:
                one(getattr(message, field.name)[key], in_query, depth, salt)
        elif is_message:
            target = getattr(message, field.name)
            if field.is_repeated:
                target.add()
                one(target[0], in_query, depth, salt)
            else:
                if not in_query:
                    target.SetInParent()
                one(target, in_query, depth, salt)
        elif field.is_repeated:
            getattr(message, field.name).extend([scalar(field, salt), scalar(field, salt)])
        else:
            setattr(message, field.name, scalar(field, salt))


def one(message, in_query, depth, salt):
    if not well_known(message):
        fill(message, in_query, depth - 1, salt)


def bindings(rule):
    for one_of in [rule, *rule.additional_bindings]:
        kind = one_of.WhichOneof("pattern")
        if kind == "custom":
            yield one_of.custom.kind, one_of.custom.path, one_of.body
        else:
            yield kind.upper(), getattr(one_of, kind), one_of.body


def encode(cls, http_method, path, body, salt):
    """One request."""
    message = cls()
    if message.DESCRIPTOR.full_name == "google.api.HttpBody":
        raise Left("a raw body, which these clients do not send")
    variables = re.findall(r"\{([^=}]+)(?:=([^}]+))?\}", path)
    reserved = {name.split(".")[0] for name, _ in variables}
    if body and body != "*":
        field = message.DESCRIPTOR.fields_by_name[body]
        if field.message_type is None or field.is_repeated:
            raise Left("a body that is no message, which these clients do not send")
        if field.message_type.full_name == "google.api.HttpBody":
            raise Left("a raw body, which these clients do not send")
        if body not in reserved:
            one(getattr(message, body), False, DEPTH_MAX, salt)
            getattr(message, body).SetInParent()
        reserved.add(body)
    fill(message, body != "*", DEPTH_MAX, salt, reserved)
    for name, pattern in variables:
        *parents, last = name.split(".")
        target = message
        for parent in parents:
            target = getattr(target, parent)
        field = target.DESCRIPTOR.fields_by_name[last]
        # A oneof has one member: the path's.
        text = field.cpp_type == F.CPPTYPE_STRING
        setattr(target, last, template_value(pattern or "*", salt) if text else scalar(field, salt))
    return transcode(message, http_method, path, body, salt)


def transcode(message, http_method, path, body, salt):
    options = [{"method": http_method.lower(), "uri": path, **({"body": body} if body else {})}]
    request, text, query = rest_helpers.transcode_request(options, message, rest_numeric_enums=bool(salt % 2))
    query = urlencode(rest_helpers.flatten_query_params(query, strict=True))
    text = "-" if text is None else text.replace("\n", " ")
    return request["uri"], query, text, message.SerializeToString().hex()


def every_binding(files, pool, left):
    """Requests of all methods, each with a message of its own."""
    count = 0
    for file in files.file:
        for service in file.service:
            for method in service.method:
                rule = method.options.Extensions[annotations_pb2.http]
                if not rule.WhichOneof("pattern"):
                    continue
                cls = message_factory.GetMessageClass(pool.FindMessageTypeByName(method.input_type[1:]))
                name = ".".join(filter(None, [file.package, service.name, method.name]))
                for index, (http_method, path, body) in enumerate(bindings(rule)):
                    try:
                        row = encode(cls, http_method, path, body, count)
                    except Left as why:
                        left[str(why)] += 1
                        continue
                    except Exception as error:
                        left[f"the client cannot encode it: {type(error).__name__}: {str(error)[:60]}"] += 1
                        continue
                    count += 1
                    yield name, index, http_method, *row


def of_suite(files, pool, suite, left):
    """Requests of a suite, each by the first binding that its client takes."""
    package = "google.showcase.v1beta1"
    cls = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.ComplianceSuite"))
    with open(suite) as file:
        suite = json_format.ParseDict(json.load(file), cls(), descriptor_pool=pool)
    services = (service for file in files.file if file.package == package for service in file.service)
    rules = {
        f"{service.name}.{method.name}": list(bindings(method.options.Extensions[annotations_pb2.http]))
        for service in services
        for method in service.method
        if method.options.HasExtension(annotations_pb2.http)
    }
    for salt, (rpc, request) in enumerate((r, q) for group in suite.group for r in group.rpcs for q in group.requests):
        for index, (http_method, path, body) in enumerate(rules[rpc]):
            try:
                row = transcode(request, http_method, path, body, salt)
            except ValueError:
                continue
            if request.intended_binding_uri not in ("", path):
                left["the client takes another binding than the suite wants"] += 1
            yield f"{package}.{rpc}", index, http_method, *row
            break
        else:
            left[f"the client has no binding for {rpc}: {request.name}"] += 1


def main(source, out, suite=None):
    with open(source, "rb") as file:
        files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    left, count = collections.Counter(), 0
    requests = of_suite(files, pool, suite, left) if suite else every_binding(files, pool, left)
    with open(out, "w") as lines:
        for request in requests:
            count += 1
            print(*request, sep="\t", file=lines)
    print(f"{count} requests encoded")
    for reason, times in left.most_common():
        print(f"  left out: {times}: {reason}")


main(*sys.argv[1:])
