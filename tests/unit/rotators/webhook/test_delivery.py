"""The signature against the example of the Standard Webhooks specification's own libraries."""

from keyturn.domain.payload import SecretValue
from keyturn.rotators.webhook.delivery import sign


def test_the_signature_is_that_of_the_reference_libraries() -> None:
    signature = sign(
        SecretValue(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        SecretValue(b'{"test": 2432232314}'),
    )

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
