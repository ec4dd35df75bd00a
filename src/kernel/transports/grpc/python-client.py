"""Calls a Cellar process as a program in another language does: gRPC over mutual TLS, no contract at hand."""

import json
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

target, ca_path, bundle_path = sys.argv[1:4]
with open(ca_path, "rb") as file:
    ca = file.read()
with open(bundle_path, "rb") as file:
    bundle = file.read()
credentials = grpc.ssl_channel_credentials(root_certificates=ca, private_key=bundle, certificate_chain=bundle)


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def fields(data):
    """The length-delimited fields of a message, by number."""
    found, at = {}, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 2:
            length, at = read_varint(data, at)
            found.setdefault(tag >> 3, []).append(data[at : at + length])
            at += length
        else:
            number, at = read_varint(data, at)
            found.setdefault(tag >> 3, []).append(number)
    return found


def read_varint(data, at):
    number, shift = 0, 0
    while True:
        number |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return number, at


def reflect(channel, version, request):
    call = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
    (answer,) = call(iter([request]), timeout=10)
    return fields(answer)


with grpc.secure_channel(target, credentials) as channel:
    health = channel.unary_unary("/grpc.health.v1.Health/Check")
    services = {
        version: [fields(entry)[1][0].decode() for entry in fields(reflect(channel, version, field(7, b""))[6][0])[1]]
        for version in ("v1", "v1alpha")
    }

    # The contract, by reflection: all files it needs, then real message classes.
    described = reflect(channel, "v1", field(4, b"cellar.testing.v1.Conformance"))
    files = {}
    for data in fields(described[4][0])[1]:
        proto = descriptor_pb2.FileDescriptorProto.FromString(data)
        files[proto.name] = proto
    pool = descriptor_pool.DescriptorPool()

    def add(name):
        if name in files:
            proto = files.pop(name)
            for imported in proto.dependency:
                add(imported)
            pool.Add(proto)

    for name in list(files):
        add(name)
    service = pool.FindServiceByName("cellar.testing.v1.Conformance")
    classes = {}
    for method in service.methods:
        for message in (method.input_type, method.output_type):
            make = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory(pool).GetPrototype
            classes[message.full_name] = make(message)
    Packet = classes["cellar.testing.v1.Packet"]
    CountRequest = classes["cellar.testing.v1.CountRequest"]
    Describe = classes["cellar.testing.v1.DescribeResponse"]

    def method(kind, name, answer):
        return kind(
            f"/cellar.testing.v1.Conformance/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )

    echoed = method(channel.unary_unary, "Echo", Packet)(Packet(name="Grüße", number=-5, data=b"\x00\xff"), timeout=10)
    counted = method(channel.unary_stream, "Count", Packet)(CountRequest(count=3), timeout=10)
    summed = method(channel.stream_unary, "Sum", Packet)(iter([Packet(number=1), Packet(number=2)]), timeout=10)
    chatted = method(channel.stream_stream, "Chat", Packet)(iter([Packet(number=4)]), timeout=10)
    described = method(channel.unary_unary, "Describe", Describe)(classes["cellar.testing.v1.DescribeRequest"](), timeout=10)
    try:
        method(channel.unary_unary, "AdminOnly", Packet)(Packet(), timeout=10)
        refused = None
    except grpc.RpcError as error:
        refused = [error.code().name, error.details()]
    try:
        health(field(1, b"cellar.none"), timeout=10)
        unknown = None
    except grpc.RpcError as error:
        unknown = error.code().name

    print(
        json.dumps(
            {
                "health": fields(health(b"", timeout=10))[1][0],
                "healthOfContract": fields(health(field(1, b"cellar.testing.v1.Conformance"), timeout=10))[1][0],
                "healthOfNone": unknown,
                "services": services,
                "methods": sorted(m.name for m in service.methods),
                "echoed": [echoed.name, echoed.number, list(echoed.data)],
                "counted": [packet.number for packet in counted],
                "summed": summed.number,
                "chatted": [packet.name for packet in chatted],
                "caller": [described.caller_id, list(described.scopes)],
                "refused": refused,
            }
        )
    )
