"""Loads the Pulumi SDK's generated gRPC modules without the rest of the SDK.

`import pulumi` takes about half a second, and every preview starts this plugin. The gRPC modules don't need the rest,
so they get empty parent packages that only contain their folders.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

_PARENTS = ("pulumi", "pulumi.runtime")


def _load(module: str) -> Any:
    return importlib.import_module(f"pulumi.runtime.proto.{module}")


def _add_empty_parents() -> None:
    spec = importlib.util.find_spec("pulumi")
    if spec is None or spec.origin is None:
        raise ImportError("the pulumi package is not installed in this plugin's Python")
    folder = Path(spec.origin).parent
    for name in _PARENTS:
        package = types.ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package


def _load_all() -> tuple[Any, ...]:
    names = ("provider_pb2", "provider_pb2_grpc", "plugin_pb2", "engine_pb2", "engine_pb2_grpc")
    if "pulumi" in sys.modules:
        return tuple(_load(name) for name in names)
    _add_empty_parents()
    try:
        return tuple(_load(name) for name in names)
    except ImportError:
        # A future SDK may need its real parents. That is slower but works.
        for name in _PARENTS:
            sys.modules.pop(name, None)
        return tuple(_load(name) for name in names)


grpc: Any = importlib.import_module("grpc")
struct_pb2: Any = importlib.import_module("google.protobuf.struct_pb2")
empty_pb2: Any = importlib.import_module("google.protobuf.empty_pb2")
provider_pb2, provider_pb2_grpc, plugin_pb2, engine_pb2, engine_pb2_grpc = _load_all()

# The same limit as in the engine. Commands' outputs are property values and can be large.
MESSAGE_LIMIT = 400 * 1024 * 1024
CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
]
