"""A verifier as a gRPC service. Right is a response whose last line is the gold
answer.

    pip install grpcio grpcio-tools
    python3 -m grpc_tools.protoc -I . --python_out=. --grpc_python_out=. \
        proto/value.proto proto/verifier.proto
    PYTHONPATH=. python3 examples/verifiers/grpc/server.py 127.0.0.1:7070

and in the configuration

    reward {
      verifier { name: "last_line" address: "127.0.0.1:7070" }
    }
"""

import concurrent.futures
import sys

import grpc

from proto import verifier_pb2
from proto import verifier_pb2_grpc


def to_python(value):
    """A column of the row: what JSON would have said."""
    kind = value.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    if kind == "list":
        return [to_python(item) for item in value.list.values]
    if kind == "object":
        return columns_of(value.object)
    if kind == "big_int":
        return int(value.big_int)
    return getattr(value, kind)


def columns_of(row):
    return {field.name: to_python(field.value) for field in row.fields}


def score(sample):
    # The row's other columns, if the score needs them.
    level = columns_of(sample.row).get("level")
    if not sample.answer:
        return verifier_pb2.SampleScore(reason="the row has no answer")
    lines = sample.response.strip().splitlines() or [""]
    right = lines[-1].strip() == sample.answer
    return verifier_pb2.SampleScore(score=float(right), reason=f"level {level}")


class Verifier(verifier_pb2_grpc.VerifierServiceServicer):

    def Verify(self, request, context):
        return verifier_pb2.VerifyReply(
            scores=[score(sample) for sample in request.samples])


def main():
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(max_workers=4),
        # Sixteen long responses are more than gRPC's default of 4 MiB.
        options=[("grpc.max_receive_message_length", 64 << 20)])
    verifier_pb2_grpc.add_VerifierServiceServicer_to_server(Verifier(), server)
    port = server.add_insecure_port(sys.argv[1])
    server.start()
    print(f"serving on port {port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
