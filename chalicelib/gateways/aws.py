"""AWS clients: one botocore session, each client made at its first use. No boto3: it costs a cold start 90 ms."""

from functools import lru_cache
from typing import Any

# A service that does not answer in this time is asked again; the caller's own bound is far above.
CONNECT_SECONDS = 1
READ_SECONDS = 5
ATTEMPTS = 3
# Links to files are signed for the bucket's own address in its region: other forms end in a redirect that breaks them.
BY_SERVICE: dict[str, dict[str, Any]] = {
    "s3": {"signature_version": "s3v4", "s3": {"addressing_style": "virtual"}},
}


@lru_cache(maxsize=1)
def _session() -> Any:
    from botocore.session import get_session

    return get_session()


def region() -> str:
    return str(_session().get_config_variable("region"))


@lru_cache(maxsize=16)
def client(service: str) -> Any:
    from botocore.config import Config

    return _session().create_client(
        service,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "max_attempts": ATTEMPTS},
            **BY_SERVICE.get(service, {}),
        ),
    )


@lru_cache(maxsize=16)
def queue_url(name: str) -> str:
    url: str = client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    return url
