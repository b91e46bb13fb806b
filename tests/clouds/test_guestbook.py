"""examples/with-bucket on a server: the app writes to the bucket that its program created."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from moto.server import ThreadedMotoServer

from tests.clouds.aws import SimulatedAws
from tests.clouds.infrastructure import OPERATOR
from tests.clouds.simulated_stack import new_stack, simulated_cloud
from tests.clouds.test_own_program import PROGRAM
from tests.clouds.testbed import machine_infrastructure
from tests.machine.leftovers import no_leftovers

pytestmark = [pytest.mark.machine, pytest.mark.cloud]


def test_entries_are_in_the_bucket_and_outlive_a_release(tmp_path: Path):
    names: set[str] = set()
    with no_leftovers(lambda: names), machine_infrastructure("aws") as infrastructure:
        names = infrastructure.names
        with simulated_cloud("aws", tmp_path, infrastructure) as cloud:
            assert isinstance(cloud, SimulatedAws)
            infrastructure.faults = cloud.faults
            # It answers with the buckets of the simulated cloud, because both are in this process.
            s3 = ThreadedMotoServer(ip_address=OPERATOR, port=0, verbose=False)
            s3.start()
            try:
                host, port = s3.get_host_and_port()
                env = {"AWS_ENDPOINT_URL_S3": f"http://{host}:{port}", "WEB_CONCURRENCY": "1"}
                stack = new_stack("aws", tmp_path / "stack", PROGRAM, env=env)
                stack.up()
                url = stack.outputs()["url"]
                assert urlopen(url, urlencode({"text": "hello"}).encode(), timeout=20).read() == b"hello\n"
                stack.configure(env={**env, "COLOUR": "red"})
                stack.up()
                assert urlopen(url, timeout=20).read() == b"hello\n"
                [entry] = cloud.client("s3").list_objects_v2(Bucket=stack.outputs()["bucket"])["Contents"]
                # Pulumi doesn't delete a bucket with entries.
                assert "BucketNotEmpty" in stack.pulumi("destroy", "--yes", "--skip-preview", check=False).stdout
                cloud.client("s3").delete_object(Bucket=stack.outputs()["bucket"], Key=entry["Key"])
                stack.pulumi("destroy", "--yes", "--skip-preview")
            finally:
                s3.stop()
            assert cloud.leftovers() == []
