"""SSH key pairs that exist only in the stack's encrypted state."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

from components.provider_process import end_with_the_engine

end_with_the_engine()


class _Provider(ResourceProvider):
    # Pulumi pickles this class into the state with each key, so it must stay small and never report a change.

    def create(self, props: dict[str, Any]) -> CreateResult:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        outputs = {"private_key": private.decode(), "public_key": public.decode()}
        return CreateResult(f"ed25519-{public.decode()[-12:]}", {**props, **outputs})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=False)


class SshKeyPair(Resource, module="gantry", name="SshKeyPair"):
    """An Ed25519 key pair in OpenSSH's formats; ``private_key`` is a secret."""

    private_key: pulumi.Output[str]
    public_key: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["private_key"])
        outputs = {"private_key": None, "public_key": None}
        super().__init__(_Provider(), name, outputs, pulumi.ResourceOptions.merge(secret, opts))
